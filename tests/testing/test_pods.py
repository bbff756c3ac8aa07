"""A pod on this machine is the manifest's, with its paths below a directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli import _connection
from trunkline.deploy import connecting
from trunkline.deploy.rendering import resources
from trunkline.testing.pods import Node

CATALOGUE = load_catalogue()
CLUSTER = CATALOGUE.cluster("production")
SERVICE = "audit-service"
HERE = "127.0.0.1:9092"


@pytest.fixture
def deployment() -> Mapping[str, Any]:
    found = resources(CATALOGUE, "production")
    return next(one.manifest() for one in found if one.kind == "Deployment" and one.name == SERVICE)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    files = {
        f"{connecting.ca_secret(CLUSTER)}/ca.crt": "brokers' CA",
        f"{SERVICE}/user.crt": "certificate",
        f"{SERVICE}/user.key": "key",
        f"{SERVICE}/ca.crt": "clients' CA",
        f"{SERVICE}-store/store": "sqlite:///audit.db",
        f"{SERVICE}-store/keys": "sqlite:///keys.db",
        f"{SERVICE}-store/master.key": "wraps",
        "trunkline-api-tokens/public.pem": "public",
    }
    for name, content in files.items():
        file = tmp_path / "secrets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    address = connecting.bootstrap_servers(CLUSTER)
    return Node(root=tmp_path / "root", secrets=tmp_path / "secrets", addresses={address: HERE})


def test_the_variables_lead_to_the_secrets_files_and_to_this_cluster(
    deployment: Mapping[str, Any], node: Node
) -> None:
    pod = node.run(deployment)
    assert pod.environment["TRUNKLINE_BOOTSTRAP_SERVERS"] == HERE
    assert pod.environment["TRUNKLINE_STORE"] == "sqlite:///audit.db"
    security = _connection.of_environment(pod.environment)
    assert security["security.protocol"] == "SSL"
    assert {
        name: Path(security[name]).read_text()
        for name in ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
    } == {
        "ssl.ca.location": "brokers' CA",
        "ssl.certificate.location": "certificate",
        "ssl.key.location": "key",
    }


def test_a_secret_is_mounted_within_another_volume_and_no_more_of_it_than_is_asked_for(
    deployment: Mapping[str, Any], node: Node
) -> None:
    data = Path(node.run(deployment).environment["TRUNKLINE_DATA_DIR"])
    assert [file.name for file in (data / "keys").iterdir()] == ["master.key"]
    assert not (node.root / "etc/kafka/user/ca.crt").exists()


def test_arguments_that_are_no_paths_are_the_manifests(deployment: Mapping[str, Any], node: Node) -> None:
    command = node.run(deployment).command
    assert command[:5] == ["trunkline", "service", SERVICE, "--environment", "production"]
    token_key = Path(command[command.index("--token-key") + 1])
    assert token_key.read_text() == "public"


@pytest.mark.parametrize("missing", [f"{SERVICE}/user.key", f"{SERVICE}-store/store"])
def test_a_pod_without_its_secret_does_not_start(
    deployment: Mapping[str, Any], node: Node, missing: str
) -> None:
    (node.secrets / missing).unlink()
    with pytest.raises(FileNotFoundError, match=Path(missing).name):
        node.run(deployment)
