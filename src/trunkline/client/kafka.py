"""The only module that knows `confluent_kafka`: narrow adapters with our own types and our own errors.

What the library does that one would not expect, and what follows from it here:

- A fatal error is raised out of `poll` or `flush`, often as `SystemError`, while delivery callbacks run with
  that exception pending. Callbacks therefore only append to a list, which is read afterwards.
- `consume(n, t)` waits for n messages or the whole of t and cannot be interrupted; `poll(t)` returns with the
  first. A batch is one `poll` and then whatever `consume(n - 1, 0)` finds.
- Errors of a consumer arrive as messages.
- A header whose name is not UTF-8 makes all headers of its record unreadable. Anybody who may write to a
  topic can send one; such a record is passed on with `UNREADABLE_HEADERS` and ends in the failure ledger.
- An exception raised inside a rebalance callback corrupts later ones, so the callbacks cannot raise.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from operator import methodcaller
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import confluent_kafka as ck
import msgspec
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import (  # the package re-exports these without saying so
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
)
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from trunkline.client import diagnosis
from trunkline.client.config import Config
from trunkline.client.errors import ClusterUnavailable, CommitRefused, KafkaFailed, KafkaFatal, QueueFull
from trunkline.codec.record import Record
from trunkline.errors import InvalidInput, TrunklineError

FROM_BEGINNING: Final = ck.OFFSET_BEGINNING
FROM_END: Final = ck.OFFSET_END

UNREADABLE_HEADERS: Final[tuple[tuple[str, bytes | None], ...]] = (("trunkline-unreadable-headers", None),)
"""Stands for headers that the library cannot give; the record keeps everything else."""

# Not `message.headers()`: for unreadable ones it returns with an exception pending, which a call that the
# interpreter has specialised does not notice; the exception then surfaces anywhere. This call always checks.
_read_headers: Final = methodcaller("headers")

REPLY_SECONDS: Final = 5.0
"""How long a metadata or administration request may take before the cluster counts as unavailable."""

COORDINATOR_SECONDS: Final = 3_600.0
"""What the library is told for requests to a group's coordinator, its longest. When its own time-out passes
while it looks for the coordinator, it frees what it uses again as soon as the coordinator is back, and that
aborts the process. So the wait ends here (`_coordinated`), and the request when the coordinator answers."""

_LOGGER: Final = logging.getLogger("trunkline.kafka")
# Silent until the program asks for it: every failure also comes back as an error or a log event of ours.
_LOGGER.addHandler(logging.NullHandler())
# The library tries a broker that is away many times a second. That comes as trouble, too, which is told once.
_LOGGER.addFilter(lambda record: not record.getMessage().startswith("FAIL "))

Token = TypeVar("Token")
Partition: TypeAlias = tuple[str, int]
"""Topic and partition number."""

_E: Final = ck.KafkaError
_REJECTING: Final = frozenset(
    {
        _E.MSG_SIZE_TOO_LARGE,
        _E.RECORD_LIST_TOO_LARGE,
        _E.INVALID_RECORD,
        _E.INVALID_MSG,
        _E.INVALID_TIMESTAMP,
        _E.INVALID_REQUIRED_ACKS,
        _E.UNSUPPORTED_COMPRESSION_TYPE,
        _E.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        _E.TOPIC_AUTHORIZATION_FAILED,
        _E.CLUSTER_AUTHORIZATION_FAILED,
        _E.TOPIC_EXCEPTION,
        _E.POLICY_VIOLATION,
        _E.UNKNOWN_TOPIC_OR_PART,
        _E._UNKNOWN_TOPIC,
        _E._UNKNOWN_PARTITION,
    }
)
"""Errors after which the event is certainly not in the log. After any other it may be there."""

_UNAUTHENTICATED: Final = frozenset({_E._AUTHENTICATION, _E.SASL_AUTHENTICATION_FAILED, _E._SSL})

_REBALANCING: Final = frozenset(
    {
        _E.REBALANCE_IN_PROGRESS,
        _E.ILLEGAL_GENERATION,
        _E.UNKNOWN_MEMBER_ID,
        _E.STALE_MEMBER_EPOCH,
        _E.FENCED_MEMBER_EPOCH,
        _E.FENCED_INSTANCE_ID,
        _E._ASSIGNMENT_LOST,
        _E._STATE,
    }
)
_REFUSING: Final = frozenset(
    {
        _E.TOPIC_AUTHORIZATION_FAILED,
        _E.GROUP_AUTHORIZATION_FAILED,
        _E.CLUSTER_AUTHORIZATION_FAILED,
        _E.SASL_AUTHENTICATION_FAILED,
        _E._AUTHENTICATION,
        _E.INVALID_GROUP_ID,
        _E.INCONSISTENT_GROUP_PROTOCOL,
        _E.GROUP_MAX_SIZE_REACHED,
        _E.INVALID_SESSION_TIMEOUT,
        _E.UNSUPPORTED_ASSIGNOR,
        _E.UNSUPPORTED_VERSION,
        _E._UNSUPPORTED_FEATURE,
    }
)
"""Consumer errors that no waiting cures."""

_EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # no hints there
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # no hints there

_UNREACHABLE: Final = frozenset(
    {
        _E._ALL_BROKERS_DOWN,
        _E._TRANSPORT,
        _E._TIMED_OUT,
        _E._RESOLVE,
        _E.REQUEST_TIMED_OUT,
    }
)
_STARTING: Final = frozenset(
    {
        _E.COORDINATOR_NOT_AVAILABLE,
        _E.COORDINATOR_LOAD_IN_PROGRESS,
        _E.NOT_COORDINATOR,
        _E.LEADER_NOT_AVAILABLE,
        _E.NOT_LEADER_FOR_PARTITION,
    }
)
"""The brokers answer, and will do what was asked in a moment; the library does not always try again."""


TOO_LARGE: Final = _E(_E.MSG_SIZE_TOO_LARGE).name()
_PURGED: Final = frozenset({_E(_E._PURGE_QUEUE).name(), _E(_E._PURGE_INFLIGHT).name()})
_MAY_NOT_PUBLISH: Final = _E(_E.CLUSTER_AUTHORIZATION_FAILED).name()
"""An idempotent producer asks for its id before anything else, and who may write nowhere gets none."""


_NO_TIMESTAMP: Final = 0
"""The library then takes the present time."""


class Report(msgspec.Struct, Generic[Token], frozen=True):
    """What became of one event: a position, or an error; `lost` then says that it is not in the log."""

    token: Token
    topic: str
    partition: int
    offset: int
    code: str | None = None
    message: str = ""
    lost: bool = False


class Sendable(Protocol):
    """What is sent: `Encoded` is one."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Producer(Generic[Token]):
    """An idempotent producer. `Token` is whatever the caller wants back with the report.

    Not more than one thread may call `poll`; `send` is thread-safe.
    """

    def __init__(self, config: Config) -> None:
        self._producer = ck.Producer({**config, "error_cb": self._tell}, logger=_LOGGER)
        self.refused: str | None = None
        """What the brokers said when they refused this client's credentials last."""
        self._reports: list[tuple[Token, ck.KafkaError | None, ck.Message]] = []
        self._told: set[str] = set()
        self._died: str | None = None

    def __len__(self) -> int:
        """Events that are not reported yet."""
        return len(self._producer)

    def send(self, topic: str, record: Sendable, token: Token, partition: int = -1) -> None:
        """Queue one event, by its key unless a partition is given.

        Raises `QueueFull`, `KafkaFatal` or `KafkaFailed`; nothing was queued then.
        """
        try:
            self._producer.produce(
                topic,
                record.value,
                record.key,
                partition,
                partial(self._reported, token),
                None,
                _NO_TIMESTAMP,
                [*record.headers],
            )
        except BufferError as error:
            raise QueueFull(f"the queue to {topic} is full") from error
        except ck.KafkaException as error:
            raise translated(error) from error

    def poll(self, timeout: float) -> list[Report[Token]]:
        """Wait for deliveries and return their reports, at once when there are some.

        Raises `KafkaFatal` when this producer is dead; `drain` then returns what had been reported.
        """
        try:
            self._producer.poll(timeout)
        except ck.KafkaException as error:
            failed = translated(error)
            self._died = str(failed)
            if failed.code == _MAY_NOT_PUBLISH:
                self._died += f"; {diagnosis.MAY_NOT_PUBLISH_ADVICE}"
            raise KafkaFatal(failed.code, self._died) from error
        except SystemError as error:
            raise KafkaFatal("_FATAL", "the producer met a fatal error") from error
        return self._take()

    def partition_count(self, topic: str) -> int | None:
        """How many partitions a topic has, None if there is no such topic; this producer knows of them then.

        Raises `ClusterUnavailable` within seconds, or `KafkaFailed`.
        """
        try:
            found = self._producer.list_topics(topic, timeout=REPLY_SECONDS).topics[topic]
        except ck.KafkaException as error:
            if error.args[0].code() in _UNREACHABLE:
                raise ClusterUnavailable(
                    f"no Kafka broker answers ({error.args[0].str()}); start one, or set --bootstrap-servers "
                    "or TRUNKLINE_BOOTSTRAP_SERVERS"
                ) from error
            raise translated(error) from error
        if found.error is None:
            return len(found.partitions) or None
        if found.error.code() in (_E.UNKNOWN_TOPIC_OR_PART, _E._UNKNOWN_TOPIC):
            return None
        raise KafkaFailed(found.error.name(), f"Kafka: {found.error.str()}")

    def purge(self) -> None:
        """Give up everything queued or in flight; the reports follow, and any of it may be in the log."""
        self._producer.purge()

    def drain(self) -> list[Report[Token]]:
        """Give up everything queued or in flight and return all reports. The producer is dead afterwards.

        Raises nothing.
        """
        for step in (self._producer.purge, partial(self._producer.flush, REPLY_SECONDS)):
            # Both raise the fatal error that brought us here once more; the second flush is the clean one.
            for _ in range(2):
                with contextlib.suppress(Exception):
                    step()
        return self._take()

    def _tell(self, error: ck.KafkaError) -> None:
        if error.code() in _UNAUTHENTICATED:
            self.refused = error.str()
        # The library says the same many times a second while a cluster is away.
        if error.name() not in self._told:
            self._told.add(error.name())
            _LOGGER.warning("%s: %s", error.name(), error.str())

    def _reported(self, token: Token, error: ck.KafkaError | None, message: ck.Message) -> None:
        self._reports.append((token, error, message))

    def _take(self) -> list[Report[Token]]:
        taken, self._reports = self._reports, []
        if taken:
            self._told.clear()
        reports: list[Report[Token]] = [
            # What was delivered has all three.
            Report(token, message.topic(), message.partition(), message.offset())  # type: ignore[arg-type]
            if error is None
            else _failure(token, error, message)
            for token, error, message in taken
        ]
        if self._died is None:
            return reports
        # That they were purged says nothing; why this producer died does.
        return [
            msgspec.structs.replace(report, message=self._died) if report.code in _PURGED else report
            for report in reports
        ]


def _failure(token: Token, error: ck.KafkaError, message: ck.Message) -> Report[Token]:
    partition = message.partition()
    return Report(
        token,
        message.topic() or "",
        -1 if partition is None else partition,
        -1,
        error.name(),
        error.str(),
        lost=error.code() in _REJECTING,
    )


class Rebalance(Protocol):
    """Told about changes of the assignment from inside `Consumer.poll` and `close`. Must not raise."""

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """These are ours now. They are paused until `Consumer.start_at`."""

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """These are going to another member; offsets of theirs may still be committed in here."""

    def lost(self, partitions: Sequence[Partition]) -> None:
        """These are another member's already; nothing of theirs may be committed."""


class GroupStanding(msgspec.Struct, frozen=True):
    """How a member stands with its group: whether the coordinator answers, and whether it has joined."""

    coordinated: bool
    joined: bool


class _GroupStatistics(msgspec.Struct):
    state: str
    join_state: str


class _Statistics(msgspec.Struct):
    """What is read of librdkafka's statistics; it leaves `cgrp` out for a consumer that never subscribed."""

    cgrp: _GroupStatistics | None = None


_decode_statistics: Final = msgspec.json.Decoder(_Statistics).decode


class Consumer:
    """A consumer. Not thread-safe."""

    def __init__(
        self,
        config: Config,
        *,
        on_trouble: Callable[[str, str], None] | None = None,
        on_standing: Callable[[GroupStanding], None] | None = None,
    ) -> None:
        """`on_trouble` hears, as code and text, what passes by itself, such as brokers that are down.

        `on_standing` hears now and then how the member stands, where the configuration asks for statistics.
        Neither may raise.
        """
        self._on_trouble = on_trouble or partial(_LOGGER.warning, "%s: %s")
        self._on_standing = on_standing
        self._fatal: ck.KafkaError | None = None
        # The library looks for the coordinator of a reader, too, which has no use for one.
        self._in_group = False
        told: dict[str, Any] = {**config, "error_cb": self._tell}
        if on_standing is not None:
            told["stats_cb"] = self._tell_standing
        with _settings_checked():
            self._consumer = ck.Consumer(told, logger=_LOGGER)
        self.at_end: dict[Partition, int] = {}
        """Where partitions ended when their end was met, if `enable.partition.eof` asks for it."""

    def subscribe(self, topics: Iterable[str], rebalance: Rebalance) -> None:
        """Join the group for these topics."""
        self._in_group = True

        def on_assign(_: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
            # Paused from the first moment: where to start is the store's to say, and the store may be away.
            self._consumer.incremental_assign(partitions)
            self._consumer.pause(partitions)
            rebalance.assigned(_keys(partitions))

        def on_revoke(_: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
            rebalance.revoked(_keys(partitions))

        def on_lost(_: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
            rebalance.lost(_keys(partitions))

        self._consumer.subscribe(list(topics), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        """Begin or begin again to read assigned partitions from these offsets. Raises `KafkaFailed`."""
        targets = _offsets(offsets)
        try:
            # A seek is refused as long as no fetch is under way, which on a fresh assignment is a race.
            self._consumer.incremental_unassign(targets)
            self._consumer.incremental_assign(targets)
            self._consumer.resume(targets)
        except ck.KafkaException as error:
            raise translated(error) from error

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets, without a group."""
        self._consumer.assign(_offsets(offsets))

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch nothing more of these for now."""
        self._consumer.pause([ck.TopicPartition(*key) for key in partitions])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Go on after the last record that was returned."""
        self._consumer.resume([ck.TopicPartition(*key) for key in partitions])

    def poll(self, records_max: int, timeout: float) -> list[Record]:
        """The next records, as soon as there are any. Raises `KafkaFailed` for what waiting cannot cure."""
        try:
            first = self._consumer.poll(timeout)
            if self._fatal is not None:
                _raise_if_hopeless(self._fatal)
            if first is None:
                return []
            messages = [first, *self._consumer.consume(records_max - 1, 0)] if records_max > 1 else [first]
        except ck.KafkaException as failure:
            raise translated(failure) from failure
        records: list[Record] = []
        for message in messages:
            if (error := message.error()) is None:
                records.append(_record(message))
            elif error.code() == _E._PARTITION_EOF:
                self.at_end[message.topic() or "", _number(message.partition())] = _number(message.offset())
            elif self._in_group or error.code() != _E.GROUP_AUTHORIZATION_FAILED:
                _raise_if_hopeless(error)
                self._tell(error)
        return records

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit synchronously; an offset is that of the next record to read. Raises `CommitRefused`."""
        try:
            answers = self._consumer.commit(offsets=_offsets(offsets), asynchronous=False)
        except ck.KafkaException as error:
            raise _commit_refused(error.args[0]) from error
        for answer in answers:
            if answer.error is not None:
                raise _commit_refused(answer.error)

    def close(self) -> None:
        """Leave the group; the rebalance listener hears about its last partitions."""
        self._consumer.close()

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        """What the group has committed, None where nothing. Raises `ClusterUnavailable` or `KafkaFailed`."""
        try:
            found = self._consumer.committed(
                [ck.TopicPartition(*key) for key in partitions], timeout=REPLY_SECONDS
            )
        except ck.KafkaException as error:
            if error.args[0].code() in _UNREACHABLE:
                raise ClusterUnavailable(
                    f"the group's coordinator does not answer ({error.args[0].str()})"
                ) from error
            raise translated(error) from error
        for item in found:
            if item.error is not None:
                raise KafkaFailed(item.error.name(), f"Kafka: {item.error.str()}")
        return {(item.topic, item.partition): item.offset if item.offset >= 0 else None for item in found}

    def _tell(self, error: ck.KafkaError) -> None:
        if _is_fatal(error):
            self._fatal = error  # Raised by the poll that called this.
        self._on_trouble(error.name(), error.str())

    def _tell_standing(self, statistics: str) -> None:
        group = _decode_statistics(statistics).cgrp
        if group is not None and self._on_standing is not None:
            self._on_standing(GroupStanding(group.state == "up", group.join_state == "steady"))


class TopicState(NamedTuple):
    """A topic as the cluster has it. `topic_id` is empty where the cluster has none."""

    name: str
    topic_id: str
    partitions: int
    replication_factor: int


class Replicas(NamedTuple):
    """Where a partition is, as broker ids. `leader` is -1 while it has none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class ClusterState(NamedTuple):
    """All brokers that are up, as `host:port` by id, and all partitions."""

    brokers: Mapping[int, str]
    partitions: Mapping[Partition, Replicas]


class Admin:
    """Metadata and administration. Calls raise `ClusterUnavailable` within seconds, or `KafkaFailed`."""

    def __init__(self, config: Config) -> None:
        self.config: Final = config
        """What it was built from; a reader of the same cluster needs it."""
        self._heard: dict[str, str] = {}
        told: dict[str, Any] = {**config, "error_cb": self._hear}
        with _settings_checked():
            self._admin = AdminClient(told, logger=_LOGGER)
        self._servers = str(config["bootstrap.servers"])

    def cluster_id(self) -> str:
        """The cluster's id."""
        with self._translated():
            return str(self._admin.describe_cluster(request_timeout=REPLY_SECONDS).result().cluster_id)

    def describe(self, names: Iterable[str]) -> dict[str, TopicState]:
        """Those of these topics that exist, by name."""
        wanted = list(names)
        if not wanted:
            return {}
        found: dict[str, TopicState] = {}
        with self._translated():
            futures = self._admin.describe_topics(ck.TopicCollection(wanted), request_timeout=REPLY_SECONDS)
        for name, future in futures.items():
            with self._translated(_topic(name)):
                try:
                    found[name] = _topic_state(future.result())
                except ck.KafkaException as error:
                    if error.args[0].code() != _E.UNKNOWN_TOPIC_OR_PART:
                        raise
        return found

    def topic_config(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """The effective configuration of existing topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        found: dict[str, dict[str, str]] = {}
        futures = self._admin.describe_configs(resources, request_timeout=REPLY_SECONDS)
        for resource, future in futures.items():
            with self._translated(_topic(resource.name), "DescribeConfigs"):
                entries = future.result()
                found[resource.name] = {name: str(entry.value) for name, entry in entries.items()}
        return found

    def topic_config_at(self, broker: int, name: str) -> dict[str, str]:
        """The effective configuration of a topic as one broker knows it, which may be behind the others."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        with self._translated(_topic(name), "DescribeConfigs"):
            futures = self._admin.describe_configs([resource], broker=broker, request_timeout=REPLY_SECONDS)
            return {key: str(entry.value) for key, entry in futures[resource].result().items()}

    def overrides(self, name: str) -> dict[str, str]:
        """The settings that a topic has of its own, not from its brokers."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        with self._translated(_topic(name), "DescribeConfigs"):
            entries = self._admin.describe_configs([resource], request_timeout=REPLY_SECONDS)[
                resource
            ].result()
        # The adapter gives the source as a bare number; the enumeration's values are those numbers.
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        return {key: str(entry.value) for key, entry in entries.items() if entry.source == own}

    def configure(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Set these settings of a topic, or give back to its brokers those that are None."""
        entries = [
            ConfigEntry(
                key,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for key, value in changes.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        with self._translated(_topic(name), "AlterConfigs"):
            self._admin.incremental_alter_configs([resource], request_timeout=REPLY_SECONDS)[
                resource
            ].result()

    def add_partitions(self, name: str, *, total: int) -> None:
        """Give a topic more partitions, so that it has `total`. Keys move; see `trunkline.client.growth`."""
        with self._translated(_topic(name), "Alter"):
            self._admin.create_partitions([NewPartitions(name, total)], request_timeout=REPLY_SECONDS)[
                name
            ].result()

    def committed_on(self, topic: str) -> dict[str, dict[int, int]]:
        """Every group that has committed offsets of a topic, and those offsets by partition.

        Only groups that this client may see. Raises rather than leave out what a broker could not list.
        """
        with self._translated():
            listed = self._admin.list_consumer_groups(request_timeout=REPLY_SECONDS).result()
            if listed.errors:
                raise listed.errors[0]
        everything = self.committed_by(sorted(group.group_id for group in listed.valid))
        return {
            group: own
            for group, offsets in everything.items()
            if (own := {number: offset for (name, number), offset in offsets.items() if name == topic})
        }

    def create(
        self, name: str, *, partitions: int, replication_factor: int, config: Mapping[str, str]
    ) -> bool:
        """Create a topic; False if another has done so meanwhile."""
        topic = NewTopic(name, partitions, replication_factor, config=dict(config))
        with self._translated(_topic(name), "Create"):
            try:
                self._admin.create_topics([topic], request_timeout=REPLY_SECONDS)[name].result()
            except ck.KafkaException as error:
                if error.args[0].code() == _E.TOPIC_ALREADY_EXISTS:
                    return False
                raise
        return True

    def delete(self, name: str) -> None:
        """Delete a topic with everything in it."""
        with self._translated(_topic(name), "Delete"):
            self._admin.delete_topics([name], request_timeout=REPLY_SECONDS)[name].result()

    def offsets(self, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """The first offset still in the log and the one after the last, of each partition."""
        keys = list(partitions)
        if not keys:
            return {}
        low = self._offsets(keys, _EARLIEST)
        high = self._offsets(keys, _LATEST)
        return {key: (low[key], high[key]) for key in keys}

    def committed(self, group: str) -> dict[Partition, int]:
        """The offsets a group has committed."""
        request = ck.ConsumerGroupTopicPartitions(group)
        with self._translated(_group(group)):
            answer = self._admin.list_consumer_group_offsets([request], request_timeout=COORDINATOR_SECONDS)
            found = _coordinated(answer[group]).topic_partitions or []
        return {(item.topic, item.partition): item.offset for item in found if item.offset >= 0}

    def assigned_topics(self, group: str) -> dict[str, frozenset[str]]:
        """The topics of which each member of a group has partitions now, by its client id and host."""
        with self._translated(_group(group)):
            futures = self._admin.describe_consumer_groups([group], request_timeout=COORDINATOR_SECONDS)
            members = _coordinated(futures[group]).members
        found: dict[str, frozenset[str]] = {}
        for member in members:
            name = f"{member.client_id} at {member.host.removeprefix('/')}"
            topics = frozenset(item.topic for item in member.assignment.topic_partitions)
            found[name] = found.get(name, frozenset()) | topics
        return found

    def cluster(self) -> ClusterState:
        """Brokers and partitions of the whole cluster, in one request."""
        with self._translated():
            found = self._admin.list_topics(timeout=REPLY_SECONDS)
        return ClusterState(
            {number: f"{broker.host}:{broker.port}" for number, broker in found.brokers.items()},
            {
                (name, number): Replicas(partition.leader, tuple(partition.replicas), tuple(partition.isrs))
                for name, topic in found.topics.items()
                for number, partition in topic.partitions.items()
            },
        )

    def groups(self) -> list[str]:
        """The consumer groups of those brokers that answer."""
        with self._translated():
            found = self._admin.list_consumer_groups(request_timeout=REPLY_SECONDS).result()
        return [group.group_id for group in found.valid]

    def member_counts(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members each of these groups has; without those that are gone."""
        names = list(groups)
        if not names:
            return {}
        with self._translated():
            futures = self._admin.describe_consumer_groups(names, request_timeout=COORDINATOR_SECONDS)
            return {name: len(found.members) for name, found in _of_known_groups(futures).items()}

    def committed_by(self, groups: Iterable[str]) -> dict[str, dict[Partition, int]]:
        """As `committed`, of several groups at a time; without those that are gone."""
        asked = {
            name: self._admin.list_consumer_group_offsets(
                [ck.ConsumerGroupTopicPartitions(name)], request_timeout=COORDINATOR_SECONDS
            )[name]
            for name in groups
        }
        with self._translated():
            answers = _of_known_groups(asked)
        return {
            name: {
                (item.topic, item.partition): item.offset
                for item in found.topic_partitions or []
                if item.offset >= 0
            }
            for name, found in answers.items()
        }

    def _offsets(self, keys: Sequence[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        futures = self._admin.list_offsets(
            {ck.TopicPartition(*key): spec for key in keys}, request_timeout=REPLY_SECONDS
        )
        for key, future in futures.items():
            with self._translated(_topic(key.topic)):
                found[key.topic, key.partition] = future.result().offset
        return found

    @contextlib.contextmanager
    def _translated(self, resource: str = "the cluster", operation: str = "Describe") -> Iterator[None]:
        """Errors as ours. `operation` is what Kafka's ACLs call it."""
        self._listen()
        self._heard = {}
        try:
            yield
        except ck.KafkaException as error:
            self._listen()
            raise self._explained(error, resource, operation) from error

    def _explained(self, error: ck.KafkaException, resource: str, operation: str) -> TrunklineError:
        cause = error.args[0]
        if cause.code() in _UNREACHABLE:
            for code, text in self._heard.items():
                if diagnosis.is_refusal(code, text):
                    return KafkaFailed(code, diagnosis.refused(self._servers, text))
            return ClusterUnavailable(diagnosis.unreachable(self._servers, self._heard, cause.str()))
        if cause.code() in _STARTING:
            return ClusterUnavailable(f"the cluster is not ready ({cause.str()}); try again in some seconds")
        failed = translated(error)
        if advice := diagnosis.grant(failed.code, resource, operation):
            failed = KafkaFailed(failed.code, f"{failed}; {advice}")
        return failed

    def _listen(self) -> None:
        """Hear what has happened to the connections: an answer that did not come does not say why."""
        self._admin.poll(0)

    def _hear(self, error: ck.KafkaError) -> None:
        self._heard.setdefault(error.name(), error.str())


def _topic(name: str) -> str:
    return f"topic {name}"


def _group(name: str) -> str:
    return f"group {name}"


def _coordinated(future: Future[Any]) -> Any:
    """A coordinator's answer, waited for as long as for any other."""
    try:
        return future.result(REPLY_SECONDS)
    except TimeoutError as error:
        raise ck.KafkaException(_E(_E._TIMED_OUT)) from error


def _of_known_groups(futures: Mapping[str, Future[Any]]) -> dict[str, Any]:
    """The answers about groups, by group; one that is not there any more has none."""
    found: dict[str, Any] = {}
    for name, future in futures.items():
        try:
            found[name] = _coordinated(future)
        except ck.KafkaException as error:
            if error.args[0].code() != _E.GROUP_ID_NOT_FOUND:
                raise
    return found


@contextlib.contextmanager
def _settings_checked() -> Iterator[None]:
    """librdkafka looks at its settings when a client is made; only security properties are the user's."""
    try:
        yield
    except ck.KafkaException as error:
        raise InvalidInput(
            f"the Kafka client refuses its settings: {error.args[0].str()}; correct security.protocol, "
            "sasl.* or ssl.* (TRUNKLINE_SECURITY_PROTOCOL, TRUNKLINE_SASL_*, TRUNKLINE_SSL_*, or "
            "--client-properties)"
        ) from error


def partition_of(key: bytes, partitions: int) -> int:
    """Where the contract's partitioner puts a key among this many partitions."""
    return ck.murmur2(key, partitions)


def translated(error: ck.KafkaException) -> KafkaFailed:
    """The library's exception as ours."""
    cause = error.args[0]
    if not isinstance(cause, ck.KafkaError):
        return KafkaFailed("UNKNOWN", f"Kafka: {error}")
    kind = KafkaFatal if _is_fatal(cause) else KafkaFailed
    return kind(cause.name(), f"Kafka: {cause.str()}")


def _is_fatal(error: ck.KafkaError) -> bool:
    """The flag is missing where the error comes through `error_cb`."""
    return error.fatal() or error.code() == _E._FATAL


def _raise_if_hopeless(error: ck.KafkaError) -> None:
    if _is_fatal(error):
        raise KafkaFatal(error.name(), f"Kafka: {error.str()}")
    if error.code() in _REFUSING:
        raise KafkaFailed(error.name(), f"Kafka refuses this consumer: {error.str()}")


def _commit_refused(error: ck.KafkaError) -> CommitRefused:
    return CommitRefused(error.name(), rebalance=error.code() in _REBALANCING)


def _record(message: ck.Message) -> Record:
    try:
        headers = tuple(_read_headers(message) or ())
    except (SystemError, UnicodeDecodeError):
        headers = UNREADABLE_HEADERS
    partition, offset = message.partition(), message.offset()
    assert partition is not None, "a record that was read has a place"
    assert offset is not None, "a record that was read has a place"
    return Record(
        message.topic() or "",
        partition,
        offset,
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
    )


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _topic_state(described: Any) -> TopicState:
    if not described.partitions:
        return TopicState(described.name, str(described.topic_id), 0, 0)
    return TopicState(
        described.name,
        str(described.topic_id),
        len(described.partitions),
        len(described.partitions[0].replicas),
    )


def _keys(partitions: Iterable[ck.TopicPartition]) -> list[Partition]:
    return [(item.topic, item.partition) for item in partitions]


def _offsets(offsets: Mapping[Partition, int]) -> list[ck.TopicPartition]:
    return [ck.TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
