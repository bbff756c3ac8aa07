"""What the brokers themselves say that this principal may do, and what they know of topics and groups.

Brokers tell it with every description that asks for it (KIP-430), so that a right need not be tried. Nothing
here joins a group, writes or creates; a denial is an answer and no error.
"""

import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import confluent_kafka as ck
from confluent_kafka.admin._listoffsets import OffsetSpec

from trunkline.client.config import Config
from trunkline.client.kafka.admin import STARTING_POLL_SECONDS
from trunkline.client.kafka.errors import STARTING
from trunkline.client.kafka.library import REPLY_SECONDS
from trunkline.client.kafka.records import Partition
from trunkline.client.kafka.requests import COORDINATOR_SECONDS, Requests

_E: Final = ck.KafkaError
_NEWEST: Final[OffsetSpec] = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]  # no hints there
_FIRST: Final[OffsetSpec] = OffsetSpec.for_timestamp(0)
"""The first record of 1970 or later."""

DENIED: Final = frozenset({"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"})
"""The codes of a thing that this principal may not even describe."""

ABSENT: Final = frozenset({"UNKNOWN_TOPIC_OR_PART", "GROUP_ID_NOT_FOUND"})
"""The codes of a thing that there is not, told to who may know."""

NO_ANSWER: Final = "_TIMED_OUT"
"""The code of a group whose coordinator has not answered in time; librdkafka's name for it."""

_STARTING: Final = frozenset(_E(code).name() for code in STARTING)
_COORDINATORS: Final = STARTING | {_E._TRANSPORT, _E._TIMED_OUT}
"""What a single broker may have to say, or not, about the groups that it looks after."""

_ANSWERS: Final = frozenset(
    {
        _E.TOPIC_AUTHORIZATION_FAILED,
        _E.GROUP_AUTHORIZATION_FAILED,
        _E.UNKNOWN_TOPIC_OR_PART,
        _E.GROUP_ID_NOT_FOUND,
        _E.TOPIC_EXCEPTION,
    }
)


class TopicTold(NamedTuple):
    """A topic as told to this principal.

    `operations` are named as in ACLs, and None where brokers do not tell: the embedded one has no ACLs.
    `code` is the name of Kafka's error where it is not described at all, and empty otherwise.
    """

    operations: frozenset[str] | None
    code: str = ""
    partitions: int = 0
    replication_factor: int = 0
    leaderless: frozenset[int] = frozenset()
    under_replicated: frozenset[int] = frozenset()


class GroupTold(NamedTuple):
    """A group as told to this principal. `state` is Kafka's name for it in capitals; `operations` and `code`
    are as of a topic."""

    operations: frozenset[str] | None
    code: str = ""
    state: str = ""
    members: int = 0
    coordinator: str = ""


class Survey:
    """Calls raise `ClusterUnavailable` within seconds, or `KafkaFailed`."""

    def __init__(self, config: Config) -> None:
        requests = Requests(config)
        self._admin = requests.client
        self._translated = requests.translated

    def cluster(self) -> frozenset[str]:
        """What this principal may do with the cluster itself; nothing where brokers do not tell."""
        with self._translated():
            found = self._admin.describe_cluster(
                include_authorized_operations=True, request_timeout=REPLY_SECONDS
            ).result()
        return _named(found.authorized_operations) or frozenset()

    def topics(self, names: Iterable[str]) -> dict[str, TopicTold]:
        """Each of these topics, in one request."""
        wanted = list(names)
        if not wanted:
            return {}
        told: dict[str, TopicTold] = {}
        with self._translated():
            futures = self._admin.describe_topics(
                ck.TopicCollection(wanted), include_authorized_operations=True, request_timeout=REPLY_SECONDS
            )
            for name, future in futures.items():
                try:
                    told[name] = _topic(future.result())
                except ck.KafkaException as error:
                    told[name] = TopicTold(None, _answer(error))
        return told

    def group_names(self) -> tuple[tuple[str, ...], bool]:
        """The groups of those brokers that answer, and whether all of them did."""
        with self._translated():
            found = self._admin.list_consumer_groups(request_timeout=REPLY_SECONDS).result()
        return tuple(group.group_id for group in found.valid), not found.errors

    def groups(self, names: Iterable[str]) -> dict[str, GroupTold]:
        """Each of these groups; one that there is not is told as dead.

        Waits some seconds for coordinators that have just moved or are about to be. Of a group whose
        coordinator does not answer even then, `code` says why.
        """
        left = list(names)
        told: dict[str, GroupTold] = {}
        deadline = time.monotonic() + REPLY_SECONDS
        with self._translated():
            while left:
                told |= self._groups(left, deadline)
                left = [name for name in left if told[name].code in _STARTING]
                if time.monotonic() > deadline:
                    break
                time.sleep(STARTING_POLL_SECONDS if left else 0)
        return told

    def _groups(self, names: list[str], deadline: float) -> dict[str, GroupTold]:
        # The library must not end these requests itself: see COORDINATOR_SECONDS.
        futures = self._admin.describe_consumer_groups(
            names, include_authorized_operations=True, request_timeout=COORDINATOR_SECONDS
        )
        told: dict[str, GroupTold] = {}
        for name, future in futures.items():
            try:
                told[name] = _group(future.result(max(0.0, deadline - time.monotonic())))
            except TimeoutError:
                told[name] = GroupTold(None, NO_ANSWER)
            except ck.KafkaException as error:
                told[name] = GroupTold(None, _answer(error, also=_COORDINATORS))
        return told

    def newest(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The latest timestamp of any record of each partition, in Unix milliseconds; without the empty ones.

        Needs Describe on their topics (KIP-734).
        """
        return self._times(partitions, _NEWEST)

    def oldest(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The timestamp of the first record that is still in each partition; as `newest` otherwise."""
        return self._times(partitions, _FIRST)

    def _times(self, partitions: Iterable[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        asked = {ck.TopicPartition(*key): spec for key in partitions}
        if not asked:
            return {}
        with self._translated():
            futures = self._admin.list_offsets(asked, request_timeout=REPLY_SECONDS)
            found = {(key.topic, key.partition): future.result() for key, future in futures.items()}
        return {key: one.timestamp for key, one in found.items() if one.timestamp >= 0}

    def scram_users(self) -> frozenset[str] | None:
        """The users that have a SCRAM password; None where this principal may not know, or brokers do not.

        Needs Describe on the cluster, which is looked at first: the library aborts the process when the
        brokers deny this request.
        """
        if "Describe" not in self.cluster():
            return None
        with self._translated():
            asked: Any = self._admin.describe_user_scram_credentials(request_timeout=REPLY_SECONDS)
            return frozenset(map(str, asked.result()))


def _answer(error: ck.KafkaException, *, also: frozenset[int] = frozenset()) -> str:
    """The name of an error that says something about one thing. Raises the others again."""
    cause = error.args[0]
    if cause.code() not in _ANSWERS | also:
        raise error
    return str(cause.name())


def _topic(described: Any) -> TopicTold:
    partitions = described.partitions
    return TopicTold(
        _named(described.authorized_operations),
        partitions=len(partitions),
        replication_factor=len(partitions[0].replicas) if partitions else 0,
        leaderless=frozenset(one.id for one in partitions if one.leader is None),
        under_replicated=frozenset(one.id for one in partitions if len(one.isr) < len(one.replicas)),
    )


def _group(described: Any) -> GroupTold:
    node = described.coordinator
    return GroupTold(
        _named(described.authorized_operations),
        state=described.state.name,
        members=len(described.members),
        coordinator="" if node is None else f"{node.host}:{node.port}",
    )


def _named(operations: Iterable[Any] | None) -> frozenset[str] | None:
    """`DESCRIBE_CONFIGS` as ACLs have it: `DescribeConfigs`. The library has None for an empty set, too."""
    if operations is None:
        return None
    return frozenset("".join(map(str.capitalize, one.name.split("_"))) for one in operations)


def library_versions() -> dict[str, str]:
    """The versions of the Kafka libraries in this process."""
    return {"librdkafka": ck.libversion()[0], "confluent-kafka": str(ck.__version__)}
