"""What a Kafka node is told, as pure functions: combined broker and controller, on loopback, light enough for
a laptop. What decides about durability is Kafka's own default or the contract's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from trunkline.errors import InvalidInput

REPLICAS_MAX: Final = 3
OFFSETS_PARTITIONS: Final = 6
"""Of the internal topics: some for each broker, and few, because each is a directory with open files."""

DEDUPE_BYTES: Final = 8 << 20
"""For the compaction of small logs; Kafka's default of 128 MiB is half of our heap."""

JVM_OPTIONS: Final = (
    "-Xms64m",
    "-Xmx320m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
)
"""Chosen for a quick start on two cores."""

LOG4J: Final = """\
<Configuration status="error">
  <Appenders>
    <RollingFile name="file" fileName="{file}" filePattern="{file}.%i">
      <PatternLayout pattern="%d %p %m (%c{{1}})%n"/>
      <SizeBasedTriggeringPolicy size="10 MB"/>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="info"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a node listens: for clients, for its peers' brokers, for its peers' controllers."""

    client: int
    internal: int
    controller: int


Mechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-512"]


_PROTOCOLS: Final = {
    (False, False): "PLAINTEXT",
    (True, False): "SASL_PLAINTEXT",
    (False, True): "SSL",
    (True, True): "SASL_SSL",
}
"""Of the client listener: with passwords or without, with certificates or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sasl:
    """Who may come in over the client listener, with which mechanism. What they may do is up to ACLs.

    `superusers` may do everything. The internal listener needs no password and may do everything, too: it
    is there for the test itself.
    """

    users: Mapping[str, str] = field(default_factory=lambda: {"admin": "admin-secret"})
    superusers: Sequence[str] = ("admin",)
    mechanism: Mechanism = "PLAIN"

    def __post_init__(self) -> None:
        for text in (*self.users, *self.users.values()):
            if not text.isascii() or not text.isprintable() or set(text) & set('"\\;=,[] '):
                raise InvalidInput(f"{text!r} cannot be a user or a password of a test cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The client listener speaks TLS, under certificates made for the purpose.

    `users` show certificates, and are `User:CN=NAME` for ACLs; without users nobody is asked for one, which
    is for `Sasl`. `superusers` may do everything. `cluster` is the name that the Secrets begin with.
    """

    cluster: str = "trunkline"
    users: Sequence[str] = ()
    superusers: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTls:
    """One broker's part of it, as PEM files. With a `clients_ca`, clients must show a certificate."""

    keystore: Path
    clients_ca: Path | None
    superusers: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a cluster. `advertised` is the port that clients are told to come to."""

    number: int
    host: str
    ports: Ports
    advertised: int
    data: Path


def properties(
    node: Node, voters: Mapping[int, int], sasl: Sasl | None, *, tls: ListenerTls | None = None
) -> dict[str, str]:
    """A node's `server.properties`; `voters` are all controllers' ports by node."""
    replicas = min(len(voters), REPLICAS_MAX)
    in_sync = 2 if replicas == REPLICAS_MAX else 1
    host, ports = node.host, node.ports
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(f"{number}@{host}:{port}" for number, port in voters.items()),
        "listeners": (
            f"CLIENT://{host}:{ports.client},INTERNAL://{host}:{ports.internal},"
            f"CONTROLLER://{host}:{ports.controller}"
        ),
        "advertised.listeners": f"CLIENT://{host}:{node.advertised},INTERNAL://{host}:{ports.internal}",
        "listener.security.protocol.map": (
            f"CLIENT:{_PROTOCOLS[sasl is not None, tls is not None]},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name": "INTERNAL",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.data),
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": str(OFFSETS_PARTITIONS),
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.num.partitions": str(OFFSETS_PARTITIONS),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "default.replication.factor": str(replicas),
        "min.insync.replicas": str(in_sync),
        # A group that waits for more members before it starts makes every test three seconds longer.
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": str(DEDUPE_BYTES),
        "num.network.threads": "2",
        "num.io.threads": "4",
        **({} if sasl is None else _passwords(sasl)),
        **({} if tls is None else _certificates(tls)),
        **_authorizer(sasl, tls),
    }


def render(settings: Mapping[str, str]) -> str:
    """As Java reads a `.properties` file."""
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())


def scram_users(sasl: Sasl | None) -> list[str]:
    """What formats a cluster's storage with its users (KIP-900); PLAIN has them in the settings instead."""
    if sasl is None or sasl.mechanism == "PLAIN":
        return []
    return [
        argument
        for name, password in sasl.users.items()
        for argument in ("--add-scram", f"{sasl.mechanism}=[name={name},password={password}]")
    ]


def _passwords(sasl: Sasl) -> dict[str, str]:
    if sasl.mechanism == "PLAIN":
        users = "".join(f' user_{name}="{password}"' for name, password in sasl.users.items())
        module = f"org.apache.kafka.common.security.plain.PlainLoginModule required{users};"
    else:
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "sasl.enabled.mechanisms": sasl.mechanism,
        f"listener.name.client.{sasl.mechanism.lower()}.sasl.jaas.config": module,
    }


def _certificates(tls: ListenerTls) -> dict[str, str]:
    told = {"keystore.type": "PEM", "keystore.location": str(tls.keystore)}
    if tls.clients_ca is not None:
        told |= {
            "truststore.type": "PEM",
            "truststore.location": str(tls.clients_ca),
            "client.auth": "required",
        }
    return {f"listener.name.client.ssl.{name}": value for name, value in told.items()}


def _authorizer(sasl: Sasl | None, tls: ListenerTls | None) -> dict[str, str]:
    """Where it is known who somebody is, ACLs say what they may, and nothing else is allowed."""
    known = ["ANONYMOUS"]
    if sasl is not None:
        known += sasl.superusers
    if tls is not None:
        known += tls.superusers
    if sasl is None and (tls is None or tls.clients_ca is None):
        return {}
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{name}" for name in known),
    }
