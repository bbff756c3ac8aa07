"""Every service as its rendered Deployment runs it, on three brokers that know it by its certificate.

Command and variables are the manifest's; only the ports are not, since all pods are one machine here.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy import connecting
from trunkline.deploy.pods import TOKENS_KEY, TOKENS_SECRET, store_secret
from trunkline.deploy.rendering import resources
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.pods import Node
from trunkline.testing.processes import CommandProcess

CATALOGUE = load_catalogue()
PORTS = ("--listen-address", "127.0.0.1", "--api-port", "0", "--health-port", "0", "--metrics-port", "0")
READY_SECONDS = 90.0
"""For thirteen processes on two cores."""

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def make_secrets(directory: Path, service: str, data: Path) -> None:
    """What the guide beside the manifests asks a person for."""
    own = directory / store_secret(service)
    own.mkdir()
    (own / "store").write_text(f"sqlite:///{data / service}.db")
    (own / "keys").write_text(f"sqlite:///{data / service}.keys.db")
    (own / "master.key").write_bytes(token_bytes(32))


def make_token_key(directory: Path) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    (directory / TOKENS_SECRET).mkdir()
    (directory / TOKENS_SECRET / TOKENS_KEY).write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def start(manifest: Mapping[str, Any], node: Node) -> CommandProcess:
    pod = node.run(manifest)
    return CommandProcess([*pod.command[1:], *PORTS], environment=pod.environment)


def is_ready(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10.0).status_code == 200


def test_every_service_becomes_ready_with_what_its_manifest_and_its_secrets_say(
    production: KafkaCluster, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make_token_key(production.secrets)
    for service in CATALOGUE.services:
        make_secrets(production.secrets, service, data)
    manifests = {
        one.name: one.manifest() for one in resources(CATALOGUE, "production") if one.kind == "Deployment"
    }
    address = connecting.bootstrap_servers(CATALOGUE.cluster("production"))
    with ExitStack() as running:
        processes = {}
        for service in CATALOGUE.services:
            node = Node(
                root=tmp_path / "pods" / service,
                secrets=production.secrets,
                addresses={address: production.bootstrap_servers},
            )
            processes[service] = running.enter_context(start(manifests[service], node))
        ports = {service: ready(process) for service, process in processes.items()}
        for port in ports.values():
            eventually(partial(is_ready, port), seconds=READY_SECONDS)
        with ThreadPoolExecutor(len(processes)) as stopping:
            codes = dict(
                zip(processes, stopping.map(CommandProcess.terminate, processes.values()), strict=True)
            )
    assert codes == dict.fromkeys(CATALOGUE.services, 0)


def ready(process: CommandProcess) -> int:
    """The health port of a service that reads its partitions."""
    line = process.stdout.wait_line(lambda said: said.startswith("{"), timeout_s=READY_SECONDS)
    assert line is not None, process.stderr.text
    port: int = json.loads(line)["health_port"]
    return port
