"""What the brokers let a client do, found out by asking them; who may do it changes nothing by that.

A broker looks at a client's rights before it looks at what is asked. So each try is for something that comes
to nothing: a check without effect where the protocol has one (`validate_only`), else what cannot be done. The
answer is then a denial, or tells what is wrong with the request.

| operation | the try | who may is told |
|---|---|---|
| Describe, DescribeConfigs | the question itself | the answer |
| Describe of the cluster | what it may do to it (KIP-430) | that it may describe it |
| Read of a topic | a fetch from its beginning | a record, or that there is none |
| Write | a record from the future | that its time is invalid; nothing is appended |
| Create | the topic that is there, checked only | that it is there |
| Alter of a topic | as many partitions as there are, or fewer, checked only | that these are no more |
| AlterConfigs | a setting, checked only | nothing |
| Delete of a topic | its records before the first (KIP-107) | where it begins |
| Read of a group | a commit for a partition that is not there | that it is not there |
| Alter of the cluster | to delete the ACLs of nobody | that there were none |

Deleting a group has no try without effect: it is tried on names of groups that have never been.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

import confluent_kafka as ck
from confluent_kafka.admin._acl import (  # the package re-exports these without saying so
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from trunkline.catalogue.access import Operation
from trunkline.client.config import Config, reader_of
from trunkline.client.kafka.errors import STARTING
from trunkline.client.kafka.library import LOGGER
from trunkline.client.kafka.requests import COORDINATOR_SECONDS, Requests, coordinated

TRY_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1

AHEAD_MS: Final = 30 * 86_400_000
"""Beyond `message.timestamp.after.max.ms`, whose default is an hour since Kafka 4.0 (KIP-1030)."""

NO_PARTITION: Final = 999_999
NOBODY: Final = "User:trunkline-nobody"
ABSENT: Final = "trunkline.absent"
"""A topic that nobody has rights on by its name."""

_E: Final = ck.KafkaError
_TO_WHO_MAY: Final = frozenset(
    {
        _E.INVALID_PARTITIONS,
        _E.INVALID_TIMESTAMP,
        _E.TOPIC_ALREADY_EXISTS,
        _E.UNKNOWN_TOPIC_OR_PART,
        _E.GROUP_ID_NOT_FOUND,
        _E._PARTITION_EOF,
    }
)
"""What is answered to who may."""

_TOPIC_DENIALS: Final = frozenset({_E.TOPIC_AUTHORIZATION_FAILED, _E.CLUSTER_AUTHORIZATION_FAILED})
_GROUP_DENIALS: Final = frozenset({_E.GROUP_AUTHORIZATION_FAILED})


class Tries:
    """Of one client, with its own credentials. The answers say whether it may.

    Raises `ClusterUnavailable` and `KafkaFailed` for an answer that is neither a denial nor one that is
    expected, and `KeyError` for an operation that is not in the table above.
    """

    def __init__(self, config: Config) -> None:
        requests = Requests(config)
        self._config = config
        self._admin = requests.client
        self._translated = requests.translated

    def topics(self, operation: Operation, names: Iterable[str]) -> dict[str, bool]:
        """On these topics, which exist, by name."""
        wanted = list(names)
        with self._translated("the topics", operation):
            match operation:
                case Operation.READ:
                    return self._read(wanted)
                case Operation.WRITE:
                    return self._write(wanted)
                case Operation.DELETE:
                    return self._delete_no_records(wanted)
            ask = {
                Operation.DESCRIBE: self._describe,
                Operation.DESCRIBE_CONFIGS: self._describe_configs,
                Operation.CREATE: self._create,
                Operation.ALTER: self._add_no_partitions,
                Operation.ALTER_CONFIGS: self._alter_configs,
            }[operation]
            return {name: _may(future, _TOPIC_DENIALS) for name, future in ask(wanted).items()}

    def groups(self, operation: Operation, names: Iterable[str], *, topic: str) -> dict[str, bool]:
        """On these groups, by name. `topic` exists; whether it may be read does not matter."""
        ask: Callable[[str], Future[Any]] = {
            Operation.DESCRIBE: self._describe_group,
            Operation.READ: lambda name: self._commit_nothing(name, topic),
            Operation.DELETE: self._delete_group,
        }[operation]
        with self._translated("the groups", operation):
            return {name: _may_when_coordinated(partial(ask, name)) for name in names}

    def cluster(self, operation: Operation) -> bool:
        """On the cluster itself."""
        if operation is Operation.DESCRIBE:
            with self._translated("the cluster", operation):
                return self._describes_cluster()
        ask: Callable[[], Future[Any]] = {
            Operation.DESCRIBE_CONFIGS: self._describe_broker,
            Operation.CREATE: lambda: self._create([ABSENT])[ABSENT],
            Operation.ALTER: self._delete_no_acls,
            Operation.ALTER_CONFIGS: self._alter_cluster,
        }[operation]
        with self._translated("the cluster", operation):
            return _may(ask(), _TOPIC_DENIALS)

    def _describe(self, names: list[str]) -> Mapping[str, Future[Any]]:
        return self._admin.describe_topics(ck.TopicCollection(names), request_timeout=TRY_SECONDS)

    def _describe_configs(self, names: list[str]) -> Mapping[str, Future[Any]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        return _by_name(self._admin.describe_configs(resources, request_timeout=TRY_SECONDS))

    def _alter_configs(self, names: list[str]) -> Mapping[str, Future[Any]]:
        resources = [
            ConfigResource(ResourceType.TOPIC, name, incremental_configs=[_entry()]) for name in names
        ]
        return _by_name(
            self._admin.incremental_alter_configs(resources, validate_only=True, request_timeout=TRY_SECONDS)
        )

    def _create(self, names: list[str]) -> Mapping[str, Future[Any]]:
        topics = [NewTopic(name, 1, 1) for name in names]
        return self._admin.create_topics(topics, validate_only=True, request_timeout=TRY_SECONDS)

    def _add_no_partitions(self, names: list[str]) -> Mapping[str, Future[Any]]:
        topics = [NewPartitions(name, 1) for name in names]
        return self._admin.create_partitions(topics, validate_only=True, request_timeout=TRY_SECONDS)

    def _delete_no_records(self, names: list[str]) -> dict[str, bool]:
        visible = self._visible(names)
        firsts = [ck.TopicPartition(name, 0, 0) for name, allowed in visible.items() if allowed]
        futures = self._admin.delete_records(firsts, request_timeout=TRY_SECONDS) if firsts else {}
        return visible | {first.topic: _may(future, _TOPIC_DENIALS) for first, future in futures.items()}

    def _visible(self, names: list[str]) -> dict[str, bool]:
        """Read and Delete imply Describe, and the library does not ask for what it may not describe."""
        return {name: _may(future, _TOPIC_DENIALS) for name, future in self._describe(names).items()}

    def _write(self, names: list[str]) -> dict[str, bool]:
        # Not idempotent: who may write nowhere gets no id for that, which is not what is asked.
        producer = ck.Producer(
            {**self._config, "acks": "all", "message.timeout.ms": TRY_SECONDS * 1000}, logger=LOGGER
        )
        told: dict[str, ck.KafkaError | None] = {}

        def tell(error: ck.KafkaError | None, message: ck.Message) -> None:
            told[message.topic() or ""] = error

        later = round(time.time() * 1000) + AHEAD_MS
        for name in names:
            producer.produce(name, b"", partition=0, timestamp=later, on_delivery=tell)
        producer.flush(TRY_SECONDS)
        return {name: _allowed(told.get(name, _E(_E._TIMED_OUT)), _TOPIC_DENIALS) for name in names}

    def _read(self, names: list[str]) -> dict[str, bool]:
        visible = self._visible(names)
        found = {name: False for name, allowed in visible.items() if not allowed}
        consumer = ck.Consumer(dict(reader_of(self._config)), logger=LOGGER)
        try:
            consumer.assign([ck.TopicPartition(name, 0, 0) for name in names if name not in found])
            deadline = time.monotonic() + TRY_SECONDS
            while len(found) < len(names):
                message = consumer.poll(POLL_SECONDS)
                if message is not None and message.topic() in visible:
                    found[message.topic() or ""] = _allowed(message.error(), _TOPIC_DENIALS)
                elif time.monotonic() > deadline:
                    raise ck.KafkaException(_E(_E._TIMED_OUT))
        finally:
            consumer.close()
        return found

    def _describe_group(self, name: str) -> Future[Any]:
        (future,) = self._admin.describe_consumer_groups([name], request_timeout=COORDINATOR_SECONDS).values()
        return future

    def _commit_nothing(self, name: str, topic: str) -> Future[Any]:
        wanted = ck.ConsumerGroupTopicPartitions(name, [ck.TopicPartition(topic, NO_PARTITION, 0)])
        (future,) = self._admin.alter_consumer_group_offsets(
            [wanted], request_timeout=COORDINATOR_SECONDS
        ).values()
        return future

    def _delete_group(self, name: str) -> Future[Any]:
        (future,) = self._admin.delete_consumer_groups([name], request_timeout=COORDINATOR_SECONDS).values()
        return future

    def _describes_cluster(self) -> bool:
        """By what the brokers say that it may (KIP-430), which they say to nobody who may not.

        To list ACLs would be no try: the library takes a denial of that for an empty list.
        """
        found = self._admin.describe_cluster(
            include_authorized_operations=True, request_timeout=TRY_SECONDS
        ).result(TRY_SECONDS)
        return AclOperation.DESCRIBE in (found.authorized_operations or [])

    def _delete_no_acls(self) -> Future[Any]:
        (future,) = self._admin.delete_acls([_ACLS_OF_NOBODY], request_timeout=TRY_SECONDS).values()
        return future

    def _describe_broker(self) -> Future[Any]:
        broker = ConfigResource(ResourceType.BROKER, self._some_broker())
        (future,) = self._admin.describe_configs([broker], request_timeout=TRY_SECONDS).values()
        return future

    def _alter_cluster(self) -> Future[Any]:
        broker = ConfigResource(ResourceType.BROKER, self._some_broker(), incremental_configs=[_entry()])
        (future,) = self._admin.incremental_alter_configs(
            [broker], validate_only=True, request_timeout=TRY_SECONDS
        ).values()
        return future

    def _some_broker(self) -> str:
        return str(next(iter(self._admin.list_topics(timeout=TRY_SECONDS).brokers)))


def _may(future: Future[Any], denials: frozenset[int]) -> bool:
    try:
        future.result(TRY_SECONDS)
    except ck.KafkaException as failure:
        return _allowed(failure.args[0], denials)
    return True


def _may_when_coordinated(ask: Callable[[], Future[Any]]) -> bool:
    """A group's coordinator may have to be made first, which takes a moment."""
    deadline = time.monotonic() + TRY_SECONDS
    while True:
        try:
            error = _first_error(coordinated(ask()))
        except ck.KafkaException as failure:
            error = failure.args[0]
        if error is None or error.code() not in STARTING or time.monotonic() > deadline:
            return _allowed(error, _GROUP_DENIALS)
        time.sleep(POLL_SECONDS)


def _first_error(answer: Any) -> ck.KafkaError | None:
    """Of the partitions of an answer that has some. That their topic is denied says that the group is not."""
    errors = [one.error for one in getattr(answer, "topic_partitions", None) or []]
    return next((one for one in errors if one is not None and one.code() not in _TOPIC_DENIALS), None)


def _allowed(error: ck.KafkaError | None, denials: frozenset[int]) -> bool:
    """Raises what is neither a denial nor the answer to who may."""
    if error is None or error.code() in _TO_WHO_MAY:
        return True
    if error.code() in denials:
        return False
    raise ck.KafkaException(error)


def _by_name(futures: Mapping[ConfigResource, Future[Any]]) -> dict[str, Future[Any]]:
    return {resource.name: future for resource, future in futures.items()}


def _entry() -> ConfigEntry:
    """A setting that topics, and under this name brokers as well, take."""
    return ConfigEntry("compression.type", "producer", incremental_operation=AlterConfigOpType.SET)


# None stands for any, though the library's hints say text.
_ANY_TEXT: Final[Any] = None
_ACLS_OF_NOBODY: Final = AclBindingFilter(
    ResourceType.ANY,
    _ANY_TEXT,
    ResourcePatternType.ANY,
    NOBODY,
    _ANY_TEXT,
    AclOperation.ANY,
    AclPermissionType.ANY,
)
