"""A real Kubernetes API on this machine: etcd and kube-apiserver on loopback, with our kinds installed.

    with KubernetesServer(directory, schemas=Path("schemas")) as server:
        with KubernetesApi.of_kubeconfig(server.kubeconfig()) as api:
            api.apply(manifest)

There are no controllers and no nodes, so nothing runs and nothing has a status: it validates, keeps, and
answers. Both programs end with the process that started them, however that ends.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from trunkline.errors import TrunklineError
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.kubernetes_errors import KubernetesFailed
from trunkline.testing import kafka_keeper
from trunkline.testing.kafka_jars import CACHE
from trunkline.testing.kube_kinds import definitions
from trunkline.testing.kube_programs import KubePrograms, find_kubernetes

HOST: Final = "127.0.0.1"
ADMIN: Final = "admin"
"""May do everything."""

GUEST: Final = "guest"
"""May do nothing until somebody binds a role to this user."""

_GROUPS: Final[Mapping[str, str]] = {ADMIN: "system:masters", GUEST: "guests"}

READY_SECONDS_MAX: Final = 90.0
STOP_SECONDS_MAX: Final = 20.0
LOOK_SECONDS: Final = 0.05


class KubernetesDidNotStart(TrunklineError):  # noqa: N818 - named for what happened
    """A program ended or stayed silent; the text ends with what it said last."""


class KubernetesServer:
    """A context manager: on entry the API answers and knows the kinds of `schemas`, and KEDA's.

    `schemas` is a directory with CustomResourceDefinitions as YAML, at any depth. Everything is kept in
    `directory`, which stays. Raises `KubernetesMissing` and `KubernetesDidNotStart`.
    """

    def __init__(self, directory: Path, *, schemas: Path | None = None, cache: Path = CACHE) -> None:
        self.directory = directory
        self._schemas = schemas
        self._cache = cache
        self._port = 0
        self._open = ExitStack()

    @property
    def url(self) -> str:
        """Where it listens; its certificate is in the kubeconfig."""
        return f"https://{HOST}:{self._port}"

    @property
    def certificate(self) -> Path:
        """Which the server makes itself, with the authority that has signed it."""
        return self.directory / "certificates" / "apiserver.crt"

    def token(self, user: str = ADMIN) -> str:
        """What a user logs in with."""
        return f"token-of-{user}"

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig with one context, named after the user: `ADMIN`, `GUEST`, or one unknown to it."""
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        file = self.directory / f"{user}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
            "contexts": [{"name": user, "context": {"cluster": "test", "user": user}}],
            "current-context": user,
        }
        # JSON is YAML.
        file.write_text(json.dumps(config, indent=2))
        return file

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.close)
            self._start(find_kubernetes(cache=self._cache))
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End both programs; fine when closed."""
        self._open.close()

    def _start(self, programs: KubePrograms) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        etcd_port, peer_port, self._port = _free_port(), _free_port(), _free_port()
        deadline = time.monotonic() + READY_SECONDS_MAX
        etcd_url, peer_url = f"http://{HOST}:{etcd_port}", f"http://{HOST}:{peer_port}"
        etcd = self._run(
            "etcd",
            str(programs.etcd),
            f"--data-dir={self.directory / 'etcd'}",
            *(f"--listen-client-urls={etcd_url}", f"--advertise-client-urls={etcd_url}"),
            *(f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}"),
            f"--initial-cluster=default={peer_url}",
            "--log-level=warn",
            # Nothing here has to survive the machine.
            "--unsafe-no-fsync",
        )
        server = self._run("kube-apiserver", *self._api_server(programs, etcd_url))
        while not self._answers():
            for program in (etcd, server):
                program.check()
            if time.monotonic() > deadline:
                raise KubernetesDidNotStart(f"the API did not answer in time: {server.why()}")
            time.sleep(LOOK_SECONDS)
        self._install(deadline)

    def _api_server(self, programs: KubePrograms, etcd_url: str) -> list[str]:
        key = self.directory / "service-accounts.pem"
        key.write_bytes(_private_key())
        tokens = self.directory / "tokens.csv"
        tokens.write_text(
            "".join(f'{self.token(user)},{user},{user},"{of}"\n' for user, of in _GROUPS.items())
        )
        return [
            str(programs.api_server),
            f"--etcd-servers={etcd_url}",
            f"--bind-address={HOST}",
            f"--secure-port={self._port}",
            f"--cert-dir={self.certificate.parent}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://trunkline.test",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            # There is no controller that would give a namespace its default account.
            "--disable-admission-plugins=ServiceAccount",
            # It would announce an address, and loopback is none that pods could use.
            "--endpoint-reconciler-type=none",
            "--enable-priority-and-fairness=false",
        ]

    def _run(self, name: str, *command: str) -> "_Program":
        program = _Program(name, list(command), self.directory / f"{name}.log")
        self._open.callback(program.stop)
        return program

    def _answers(self) -> bool:
        if not self.certificate.exists():
            return False
        with suppress(OSError, urllib.error.URLError):
            trusted = ssl.create_default_context(cafile=str(self.certificate))
            asked = urllib.request.Request(  # noqa: S310 - our own server
                f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token(ADMIN)}"}
            )
            with urllib.request.urlopen(asked, timeout=5, context=trusted) as answer:  # noqa: S310 - as above
                return bool(answer.status == 200)
        return False

    def _install(self, deadline: float) -> None:
        """The definitions; each kind is served a moment after its definition is accepted."""
        waiting = set()
        with KubernetesApi.of_kubeconfig(self.kubeconfig()) as api:
            for definition in definitions(self._schemas):
                api.apply(definition)
                spec = definition["spec"]
                waiting |= {
                    (f"{spec['group']}/{version['name']}", spec["names"]["kind"], "")
                    for version in spec["versions"]
                    if version["served"]
                }
        while waiting:
            if time.monotonic() > deadline:
                raise KubernetesDidNotStart(f"the API does not serve {sorted(waiting)[0][1]}")
            # What it knows it asks once, so a new connection looks again.
            with KubernetesApi.of_kubeconfig(self.kubeconfig()) as api:
                waiting = {kind for kind in waiting if not _is_served(api, kind)}
            time.sleep(LOOK_SECONDS)


class _Program:
    """A program that ends with this process: a keeper ends it, even if we are killed."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self._name = name
        self._log = log
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own script and programs that we have built
                [sys.executable, "-I", "-S", kafka_keeper.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        assert self._keeper.stdout is not None, "it has a pipe"
        self._pid = int(self._keeper.stdout.readline() or 0)

    def check(self) -> None:
        """Raises `KubernetesDidNotStart` if it has ended."""
        if self._keeper.poll() is not None:
            raise KubernetesDidNotStart(f"{self._name} ended (code {self._keeper.returncode}): {self.why()}")

    def why(self) -> str:
        """Its last words, and where to read on."""
        lines = self._log.read_text(errors="replace").splitlines() or ["it said nothing"]
        return f"{lines[-1][:400]} (log: {self._log})"

    def stop(self) -> None:
        """End it, cleanly if it does so in time."""
        if self._keeper.poll() is None and self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)
            try:
                self._keeper.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                os.kill(self._pid, signal.SIGKILL)
                self._keeper.wait()
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream is not None:
                stream.close()


def _is_served(api: KubernetesApi, kind: tuple[str, str, str]) -> bool:
    try:
        api.listed([kind], {})
    except KubernetesFailed:
        # Not known yet, or known and not served yet.
        return False
    return True


def _private_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
