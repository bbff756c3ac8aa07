"""What librdkafka is told, as pure functions from frozen options. Nothing here reads the environment.

The producer's settings are the contract: `acks=all`, `retries=3`, `enable.idempotence=true`,
`max.in.flight.requests=1`, `compression.type=snappy`.

The retry budget. librdkafka waits `retry.backoff.ms` before the first retry and doubles the wait up to
`retry.backoff.max.ms`, each with a jitter of 20 %. At its defaults three retries are used up within a second,
less than any leader election. With 2 s, 4 s and 8 s they last 14 s (11.2 s at the least), and so outlast the
9 s in which KRaft notices a dead broker plus the election after it. A cluster that is merely unreachable uses
up no retries: events then wait in the queue until `delivery.timeout.ms`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from trunkline.errors import InvalidInput

ConfigValue: TypeAlias = str | int | float | bool
Config: TypeAlias = dict[str, ConfigValue]

RETRIES: Final = 3
RETRY_BACKOFF_MS: Final = 2_000
RETRY_BACKOFF_MAX_MS: Final = 8_000
RETRY_JITTER: Final = 0.2
LEADER_ELECTION_MS: Final = 10_000
"""KRaft's `broker.session.timeout.ms` of 9 s and a second for the election itself."""

FOREVER_MS: Final = 2**31 - 1
DELIVERY_TIMEOUT_MS: Final = 120_000
UNKNOWN_TOPIC_MS: Final = 10_000
"""A topic that was just created may be unknown to a broker for a moment; after this it counts as missing."""

PARTITIONS_LEASE_SECONDS: Final = 5.0
"""How long a publisher may rely on the partition counts it has read. `topics grow` keeps a topic closed for
at least as long after it has added partitions, so that nobody publishes by the old count."""

LINGER_MS: Final = 5
SINGLE_LINGER_MS: Final = 0.5
"""For a publisher's lone events: while a request is under way the next ones gather by themselves."""

RUN_EVENTS: Final = 100
"""Events of one tenant that a publisher sends as one record batch, when so many wait."""

RUN_LINGER_MS: Final = 900_000
"""librdkafka's longest: a run goes because it is complete, and never because time has passed."""

REACH_SECONDS: Final = 10.0
"""A publisher that has never reached its cluster gives its events up after this; later it waits longer."""

QUEUE_MESSAGES_MAX: Final = 100_000
QUEUE_KIB_MAX: Final = 64 * 1024
BATCH_EVENTS_MAX: Final = 10_000
BATCH_BYTES_MAX: Final = 1_000_000
"""Of one batch before compression, unless a single event is larger; below every broker's limit."""

MESSAGE_BYTES_MAX: Final = 1_048_588
"""The contract's 1 MB as Kafka counts it: 1 MiB and the 12 bytes of a batch's log overhead."""

EVENT_BYTES_MAX: Final = MESSAGE_BYTES_MAX - 1_024
"""Of one event. A topic's own compression is applied by its brokers to what comes uncompressed, and measured
after it: snappy adds some ten bytes for every 32 KiB that it cannot shrink."""

PREFETCH_RECORDS: Final = 2_000
PREFETCH_KIB: Final = 16 * 1024
"""Some twenty batches ahead. librdkafka's own defaults would hold 64 MiB for every consumer."""

SESSION_TIMEOUT_MS: Final = 10_000

STATIC_SESSION_TIMEOUT_MS: Final = 30_000
"""The least for a static member: it must outlast a restart, or static membership saves nothing."""

STATISTICS_MS: Final = 2_000
"""How often librdkafka says whether the coordinator answers, which it tells in no other way."""

FETCH_WAIT_MS: Final = 100
"""A partition that is assigned or resumed waits for the fetch in flight, so this bounds that delay."""

FETCH_QUEUE_BACKOFF_MS: Final = 10
"""After a full prefetch queue; the default of 1 s would starve a fast consumer with a short queue."""

METADATA_REFRESH_MS: Final = 10_000
"""How often a consumer looks for new partitions, one small request. The default of five minutes would leave
the tenants that a growth has moved waiting for as long.

For an administration client it bounds how long it asks a controller that has died: librdkafka learns of
another one only with metadata, and looks at these again, with no topic of its own, at no other time."""

PORT_MAX: Final = 65_535

SECURITY_PREFIXES: Final = ("security.", "sasl.", "ssl.", "enable.ssl.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to reach a cluster. `security` holds librdkafka's `security.*`, `sasl.*` and `ssl.*` properties."""

    bootstrap_servers: str
    client_id: str = "trunkline"
    security: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def __post_init__(self) -> None:
        if not self.bootstrap_servers.strip():
            raise InvalidInput("no bootstrap servers: give --bootstrap-servers HOST:PORT")
        for server in self.bootstrap_servers.split(","):
            _check_server(server.strip())
        for name in self.security:
            if not name.startswith(SECURITY_PREFIXES):
                raise InvalidInput(f"{name} is not a security property of librdkafka and cannot be set here")


def _check_server(server: str) -> None:
    """HOST or HOST:PORT, as librdkafka takes it; it would look for an impossible port until it times out."""
    host, colon, port = server.rpartition(":")
    if (colon and not (port.isdecimal() and 0 < int(port) <= PORT_MAX)) or not (host or port):
        raise InvalidInput(f"bootstrap server {server!r} is not HOST:PORT; correct --bootstrap-servers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerOptions:
    """What may differ between publishers; what the contract fixes is not here."""

    message_bytes_max: int = EVENT_BYTES_MAX
    delivery_timeout_ms: int = DELIVERY_TIMEOUT_MS
    queue_messages_max: int = QUEUE_MESSAGES_MAX

    def __post_init__(self) -> None:
        if self.delivery_timeout_ms <= retry_budget_ms():
            raise InvalidInput(
                f"a delivery time-out of {self.delivery_timeout_ms} ms would cut off the {RETRIES} retries, "
                f"which take up to {retry_budget_ms()} ms"
            )


class GroupProtocol(StrEnum):
    """How a group shares its partitions out."""

    CLASSIC = "classic"
    """Members agree among themselves, cooperatively; every broker knows it."""

    CONSUMER = "consumer"
    """KIP-848: the brokers decide, member by member. Apache Kafka 4.0 or newer; not the embedded broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions:
    """What may differ between consumers. Times are in milliseconds.

    A member that was killed is noticed after `session_timeout_ms`; nobody reads its partitions until then.
    With `protocol="consumer"` that time is set on the brokers (`group.consumer.session.timeout.ms`) and must
    not be given here; `remote_assignor` may then name an assignor of theirs.

    `instance_id` makes the member static: one that comes back within its session time-out finds its
    partitions untouched. It must be another one for each member, and the same after a restart: the name of a
    pod in a StatefulSet. `poll_interval_max_ms` bounds how long one batch may take.

    Raises `InvalidInput` for what does not go together.
    """

    group: str
    protocol: GroupProtocol = GroupProtocol.CLASSIC
    session_timeout_ms: int | None = None
    poll_interval_max_ms: int = 300_000
    instance_id: str | None = None
    remote_assignor: str | None = None

    def __post_init__(self) -> None:
        if not self.group.strip():
            raise InvalidInput("a consumer needs the name of its group")
        if self.instance_id is not None and not self.instance_id.strip():
            raise InvalidInput("the instance id is empty; give each member its own, or none")
        if self.protocol is GroupProtocol.CONSUMER:
            if self.session_timeout_ms is not None:
                raise InvalidInput(
                    "with the consumer group protocol the session time-out is the brokers' "
                    "group.consumer.session.timeout.ms; do not give session_timeout_ms"
                )
            return
        if self.remote_assignor is not None:
            raise InvalidInput(
                "a remote assignor needs protocol='consumer'; the classic one is cooperative-sticky"
            )
        if self.poll_interval_max_ms < self.session_ms:
            raise InvalidInput(
                f"poll interval {self.poll_interval_max_ms} ms is below the session time-out "
                f"{self.session_ms} ms; raise it"
            )
        if self.instance_id is not None and self.session_ms < STATIC_SESSION_TIMEOUT_MS:
            raise InvalidInput(
                f"a session time-out of {self.session_ms} ms is shorter than a restart; a static member "
                f"needs session_timeout_ms of {STATIC_SESSION_TIMEOUT_MS} or more, or no instance id"
            )

    @property
    def session_ms(self) -> int:
        """The session time-out of a classic member, in milliseconds."""
        if self.session_timeout_ms is not None:
            return self.session_timeout_ms
        return SESSION_TIMEOUT_MS if self.instance_id is None else STATIC_SESSION_TIMEOUT_MS


_READING: Final[Mapping[str, ConfigValue]] = MappingProxyType(
    {
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "allow.auto.create.topics": False,
        "check.crcs": True,
        "fetch.wait.max.ms": FETCH_WAIT_MS,
        "fetch.queue.backoff.ms": FETCH_QUEUE_BACKOFF_MS,
        "queued.min.messages": PREFETCH_RECORDS,
        "queued.max.messages.kbytes": PREFETCH_KIB,
    }
)


def retry_waits_ms() -> tuple[int, ...]:
    """The waits before each of the contract's retries, without jitter."""
    return tuple(min(RETRY_BACKOFF_MS << retry, RETRY_BACKOFF_MAX_MS) for retry in range(RETRIES))


def retry_budget_ms() -> int:
    """How long the retries of one event last together at the most."""
    return round(sum(retry_waits_ms()) * (1 + RETRY_JITTER))


def producer_config(connection: ConnectionOptions, options: ProducerOptions) -> Config:
    """The contract's producer."""
    return {
        **_common(connection),
        "acks": "all",
        "retries": RETRIES,
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 1,
        "compression.type": "snappy",
        # Java's hash, so that services in other languages put a tenant on the same partition.
        "partitioner": "murmur2_random",
        "retry.backoff.ms": RETRY_BACKOFF_MS,
        "retry.backoff.max.ms": RETRY_BACKOFF_MAX_MS,
        "delivery.timeout.ms": options.delivery_timeout_ms,
        "topic.metadata.propagation.max.ms": UNKNOWN_TOPIC_MS,
        "linger.ms": LINGER_MS,
        "batch.num.messages": BATCH_EVENTS_MAX,
        "batch.size": min(BATCH_BYTES_MAX, options.message_bytes_max),
        "message.max.bytes": options.message_bytes_max,
        "queue.buffering.max.messages": options.queue_messages_max,
        "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
    }


def single_config(connection: ConnectionOptions, options: ProducerOptions) -> Config:
    """For lone events of many lanes; see `trunkline.client.lanes`."""
    return {**producer_config(connection, options), "linger.ms": SINGLE_LINGER_MS}


def run_config(connection: ConnectionOptions, options: ProducerOptions) -> Config:
    """For runs: a partition's events go when there are exactly `RUN_EVENTS`, as one batch.

    librdkafka lets events of a batch expire one by one, so it never may; the publisher itself gives up a run
    as a whole.
    """
    return {
        **producer_config(connection, options),
        "linger.ms": RUN_LINGER_MS,
        "batch.num.messages": RUN_EVENTS,
        "delivery.timeout.ms": FOREVER_MS,
    }


def consumer_config(connection: ConnectionOptions, options: ConsumerOptions) -> Config:
    """The contract's consumer: from the earliest record, offsets committed by us alone."""
    config: Config = {
        **_common(connection),
        **_READING,
        "group.id": options.group,
        "group.protocol": options.protocol.value,
        "max.poll.interval.ms": options.poll_interval_max_ms,
        "topic.metadata.refresh.interval.ms": METADATA_REFRESH_MS,
        "statistics.interval.ms": STATISTICS_MS,
    }
    if options.instance_id is not None:
        config["group.instance.id"] = options.instance_id
    if options.protocol is GroupProtocol.CONSUMER:
        if options.remote_assignor is not None:
            config["group.remote.assignor"] = options.remote_assignor
        return config
    return {
        **config,
        "session.timeout.ms": options.session_ms,
        # Three chances to be heard, as Kafka recommends.
        "heartbeat.interval.ms": options.session_ms // 3,
        "partition.assignment.strategy": "cooperative-sticky",
    }


def reader_config(connection: ConnectionOptions) -> Config:
    """A consumer that assigns itself partitions and commits nothing; librdkafka wants a group even so."""
    return reader_of(admin_config(connection))


def reader_of(common: Config) -> Config:
    """As `reader_config`, for who has an administration client's configuration."""
    return {**common, **_READING, "group.id": "trunkline-reader", "enable.partition.eof": True}


def admin_config(connection: ConnectionOptions) -> Config:
    """A client for metadata and administration."""
    return {**_common(connection), "topic.metadata.refresh.interval.ms": METADATA_REFRESH_MS}


def _common(connection: ConnectionOptions) -> Config:
    return {
        **connection.security,
        "bootstrap.servers": connection.bootstrap_servers,
        "client.id": connection.client_id,
        # A broker that restarts is back within a second; do not wait ten times as long to see it.
        "reconnect.backoff.max.ms": 2_000,
    }
