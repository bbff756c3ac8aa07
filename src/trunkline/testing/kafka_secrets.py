"""The Secrets of a secured cluster as directories of files, in the layout that Strimzi's operators write.

    CLUSTER-cluster-ca-cert/ca.crt     what the brokers' certificates are checked with
    USER/user.crt  user.key  ca.crt    a user with a certificate; ca.crt is the clients' CA, not the brokers'
    USER/password                      a user with SCRAM-SHA-512

This is what `kubectl get secret` gives and what a pod has mounted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.testing.certificates import LOOPBACK, Authority
from trunkline.testing.kafka_config import ListenerTls, Sasl, Tls

_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a cluster's brokers and users have been given. `directory` has a directory for each Secret."""

    directory: Path
    keystores: Path
    tls: Tls

    @classmethod
    def make(cls, root: Path, tls: Tls, *, sasl: Sasl | None, brokers: Iterable[int]) -> "Secrets":
        """Write them below `root`, with authorities made for the purpose; what was there is replaced."""
        made = cls(directory=root / "secrets", keystores=root / "keystores", tls=tls)
        servers, clients = Authority.make("cluster-ca"), Authority.make("clients-ca")
        _write(made.cluster_ca, servers.certificate)
        _write(made.keystores / "clients-ca.crt", clients.certificate)
        for number in brokers:
            issued = servers.issue(f"{tls.cluster}-kafka-{number}", address=LOOPBACK)
            _write(made.keystores / f"broker-{number}.pem", issued.keystore)
        for user in tls.users:
            shown = clients.issue(user)
            _write(made.of(user) / "user.crt", shown.certificate)
            _write(made.of(user) / "user.key", shown.key)
            _write(made.of(user) / "ca.crt", clients.certificate)
        for user, password in (sasl.users if sasl else {}).items():
            _write(made.of(user) / "password", password.encode())
        return made

    @property
    def cluster_ca(self) -> Path:
        """The certificate of the brokers' authority."""
        return self.of(f"{self.tls.cluster}-cluster-ca-cert") / "ca.crt"

    def of(self, name: str) -> Path:
        """The directory of one Secret."""
        return self.directory / name

    def listener(self, broker: int) -> ListenerTls:
        """What the broker's client listener is told."""
        return ListenerTls(
            keystore=self.keystores / f"broker-{broker}.pem",
            clients_ca=self.keystores / "clients-ca.crt" if self.tls.users else None,
            superusers=tuple(f"CN={user}" for user in self.tls.superusers),
        )

    def shown_by(self, user: str | None) -> dict[str, str]:
        """librdkafka's properties of a client that trusts the brokers, and shows the user's certificate."""
        trusting = {"security.protocol": "SSL", "ssl.ca.location": str(self.cluster_ca)}
        if user is None or not self.tls.users:
            return trusting
        return {
            **trusting,
            "ssl.certificate.location": str(self.of(user) / "user.crt"),
            "ssl.key.location": str(self.of(user) / "user.key"),
        }


def principal(user: str) -> str:
    """Whom Kafka takes a user with a certificate for: the whole subject, without rules to shorten it."""
    return f"User:CN={user}"


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=_PRIVATE)
    file.write_bytes(content)
