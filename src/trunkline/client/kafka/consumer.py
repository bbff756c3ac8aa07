"""The consumer, in a group or without one, and what a group tells its member.

- `consume(n, t)` waits for n messages or the whole of t and cannot be interrupted; `poll(t)` returns with the
  first. A batch is one `poll` and then whatever `consume(n - 1, 0)` finds.
- Errors of a consumer arrive as messages.
- An exception raised inside a rebalance callback corrupts later ones, so the callbacks cannot raise.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

import confluent_kafka as ck
import msgspec

from trunkline.client.config import Config
from trunkline.client.errors import ClusterUnavailable, KafkaFailed
from trunkline.client.kafka.committing import Committer
from trunkline.client.kafka.errors import (
    UNREACHABLE,
    is_fatal,
    raise_if_hopeless,
    translated,
)
from trunkline.client.kafka.library import LOGGER, REPLY_SECONDS, settings_checked
from trunkline.client.kafka.records import Partition, keys_of, offsets_of, record_of
from trunkline.codec.record import Record

_E: Final = ck.KafkaError

_MARK: Final = "topic-id:"
"""Begins the metadata of a commit, which Kafka keeps and does not read."""


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


class Fetching(msgspec.Struct, frozen=True):
    """How the library fetches a partition: from which broker, or -1, from where, and where its log ends.

    `queued` is how many records of it are here and have not been polled.
    """

    leader: int
    queued: int = msgspec.field(name="fetchq_cnt")
    position: int = msgspec.field(name="next_offset")
    end: int = msgspec.field(name="ls_offset")


class _TopicStatistics(msgspec.Struct):
    partitions: dict[int, Fetching]


class _GroupStatistics(msgspec.Struct):
    state: str
    join_state: str


class _Statistics(msgspec.Struct):
    """What is read of librdkafka's statistics; it leaves `cgrp` out for a consumer that never subscribed."""

    cgrp: _GroupStatistics | None = None
    topics: dict[str, _TopicStatistics] = {}


_decode_statistics: Final = msgspec.json.Decoder(_Statistics).decode


class Consumer:
    """A consumer. Not thread-safe."""

    def __init__(
        self,
        config: Config,
        *,
        on_trouble: Callable[[str, str], None] | None = None,
        on_standing: Callable[[GroupStanding, Mapping[Partition, Fetching]], None] | None = None,
    ) -> None:
        """`on_trouble` hears, as code and text, what passes by itself, such as brokers that are down.

        `on_standing` hears now and then how the member stands and how partitions of its topics, its own or
        not, are fetched, where the configuration asks for statistics.
        Neither may raise.
        """
        self._on_trouble = on_trouble or partial(LOGGER.warning, "%s: %s")
        self._on_standing = on_standing
        self._fatal: ck.KafkaError | None = None
        # The library looks for the coordinator of a reader, too, which has no use for one.
        self._in_group = False
        told: dict[str, Any] = {**config, "error_cb": self._tell}
        if on_standing is not None:
            told["stats_cb"] = self._tell_standing
        with settings_checked():
            self._consumer = ck.Consumer(told, logger=LOGGER)
        self._committer = Committer(self._consumer)
        self._topic_ids: dict[Partition, str] = {}
        self.at_end: dict[Partition, int] = {}
        """Where partitions ended when their end was met, if `enable.partition.eof` asks for it."""

    def subscribe(self, topics: Iterable[str], rebalance: Rebalance) -> None:
        """Join the group for these topics."""
        self._in_group = True

        def on_assign(_: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
            # Paused from the first moment: where to start is the store's to say, and the store may be away.
            self._consumer.incremental_assign(partitions)
            self._consumer.pause(partitions)
            rebalance.assigned(keys_of(partitions))

        def on_revoke(_: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
            with self._committer.on_this_thread():
                rebalance.revoked(keys_of(partitions))

        def on_lost(_: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
            rebalance.lost(keys_of(partitions))

        self._consumer.subscribe(list(topics), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def start_at(self, offsets: Mapping[Partition, int], *, topic_ids: Mapping[Partition, str]) -> None:
        """Begin or begin again to read assigned partitions from these offsets. Raises `KafkaFailed`.

        What is committed of them from now on bears the id of its topic, for which see `committed`.
        """
        targets = offsets_of(offsets)
        self._topic_ids.update(topic_ids)
        try:
            # A seek is refused as long as no fetch is under way, which on a fresh assignment is a race.
            self._consumer.incremental_unassign(targets)
            self._consumer.incremental_assign(targets)
            self._consumer.resume(targets)
        except ck.KafkaException as error:
            raise translated(error) from error

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets, without a group."""
        self._consumer.assign(offsets_of(offsets))

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
                raise_if_hopeless(self._fatal)
            if first is None:
                return []
            messages = [first, *self._consumer.consume(records_max - 1, 0)] if records_max > 1 else [first]
        except ck.KafkaException as failure:
            raise translated(failure) from failure
        records: list[Record] = []
        for message in messages:
            if (error := message.error()) is None:
                records.append(record_of(message))
            elif error.code() == _E._PARTITION_EOF:
                self.at_end[message.topic() or "", _number(message.partition())] = _number(message.offset())
            elif self._in_group or error.code() != _E.GROUP_AUTHORIZATION_FAILED:
                raise_if_hopeless(error, message.topic())
                self._tell(error)
        return records

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit synchronously; an offset is that of the next record to read.

        Raises `CommitRefused`, also when no answer has come for long.
        """
        told = [
            ck.TopicPartition(
                topic, partition, offset, metadata=_mark(self._topic_ids.get((topic, partition), ""))
            )
            for (topic, partition), offset in offsets.items()
        ]
        self._committer.commit(told)

    def waits_no_more(self, timeout: float) -> bool:
        """Wait for the answer to a commit that had none in time; False if there is still none.

        Until then nothing else may be asked of this consumer: the library would keep the caller waiting, too.
        """
        return self._committer.is_idle(timeout)

    def close(self) -> None:
        """Leave the group; the rebalance listener hears about its last partitions.

        While a commit has no answer there is no coordinator to tell, and nobody is told.
        """
        # Nor may the library's client be freed while it is used.
        if self.waits_no_more(REPLY_SECONDS):
            self._consumer.close()
        self._committer.close()

    def committed(
        self, partitions: Iterable[Partition], *, topic_ids: Mapping[str, str]
    ) -> dict[Partition, int | None]:
        """What the group has committed, None where nothing. Raises `ClusterUnavailable` or `KafkaFailed`.

        A commit that bears another id than its topic has in `topic_ids` counts as none: the topic was deleted
        and created again since, or while the commit was on its way. One that bears none counts.
        """
        try:
            found = self._consumer.committed(
                [ck.TopicPartition(*key) for key in partitions], timeout=REPLY_SECONDS
            )
        except ck.KafkaException as error:
            if error.args[0].code() in UNREACHABLE:
                raise ClusterUnavailable(
                    f"the group's coordinator does not answer ({error.args[0].str()})"
                ) from error
            raise translated(error) from error
        for item in found:
            if item.error is not None:
                raise KafkaFailed(item.error.name(), f"Kafka: {item.error.str()}")
        return {
            (item.topic, item.partition): item.offset
            if item.offset >= 0 and _is_of(item.metadata, topic_ids.get(item.topic))
            else None
            for item in found
        }

    def _tell(self, error: ck.KafkaError) -> None:
        if is_fatal(error):
            self._fatal = error  # Raised by the poll that called this.
        self._on_trouble(error.name(), error.str())

    def _tell_standing(self, statistics: str) -> None:
        found = _decode_statistics(statistics)
        if found.cgrp is None or self._on_standing is None:
            return
        fetching = {
            (topic, number): partition
            for topic, topic_statistics in found.topics.items()
            for number, partition in topic_statistics.partitions.items()
        }
        self._on_standing(
            GroupStanding(found.cgrp.state == "up", found.cgrp.join_state == "steady"), fetching
        )


def _mark(topic_id: str) -> str:
    return f"{_MARK}{topic_id}" if topic_id else ""


def _is_of(mark: str | None, topic_id: str | None) -> bool:
    return topic_id is None or not (mark or "").startswith(_MARK) or mark == _mark(topic_id)


def _number(value: int | None) -> int:
    return -1 if value is None else value
