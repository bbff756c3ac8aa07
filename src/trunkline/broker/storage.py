"""The data directory of a broker: who uses it, its identity, its topics and their partition logs.

    DIR/
      lock                  held by the running broker; its process id
      broker.json           format version, cluster id, first producer id not yet handed out
      topics.json           the topics: name, id, number of partitions, configuration
      topics/NAME-PARTITION/    one partition log each (`trunkline.broker.log`)

Both JSON files are replaced atomically. A topic exists once topics.json names it: directories are made
before and set aside (`*-deleted`) after, so a crash in between leaves at most a directory that nothing
refers to.
"""

import os
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trunkline.broker import datafile
from trunkline.broker.identity import Identity
from trunkline.broker.log.errors import LogStopped, TopicRefused
from trunkline.broker.log.fs import Fs, FsError, Lock, Locked
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.log.recovery import RecoveryReport
from trunkline.broker.log.topic_config import log_options
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.errors import Unavailable

PARTITIONS_MAX = 10_000
"""In the whole broker: each holds a few open files."""

_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_DELETED_SUFFIX = "-deleted"


class _TopicEntry(msgspec.Struct):
    name: str
    id: uuid.UUID
    partitions: int
    configs: dict[str, str]


class _TopicsFile(msgspec.Struct):
    format: int
    topics: list[_TopicEntry]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its logs, one a partition. Replaced as a whole when the topic changes."""

    name: str
    id: uuid.UUID
    configs: Mapping[str, str]
    partitions: tuple[PartitionLog, ...]


class Storage:
    """All durable state of a broker but that of its groups. Everything is called on the loop."""

    def __init__(
        self,
        fs: Fs,
        data_dir: Path,
        *,
        lock: Lock,
        identity: Identity,
        defaults: LogOptions,
        new_id: Callable[[], uuid.UUID],
    ) -> None:
        """Use `Storage.open`."""
        self.data_dir = data_dir
        self.identity = identity
        self.defaults = defaults
        self.topics: dict[str, Topic] = {}
        self.topics_by_id: dict[uuid.UUID, Topic] = {}
        self.reports: list[RecoveryReport] = []
        """What recovery found in each partition at open."""
        self._fs = fs
        self._lock = lock
        self._new_id = new_id
        self._logs_dir = data_dir / "topics"

    @classmethod
    def open(
        cls,
        fs: Fs,
        data_dir: Path,
        *,
        now_ms: int,
        defaults: LogOptions | None = None,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> "Storage":
        """Lock the directory (created when missing), open and recover every log in it.

        Raises `Unavailable` when another broker uses it, `InvalidInput` when its format is newer than this
        program or its files cannot be read, `FsError` when the device fails.
        """
        fs.mkdir(data_dir / "topics")
        lock = _take_lock(fs, data_dir)
        try:
            identity = Identity(fs, data_dir / "broker.json", new_id=new_id)
            storage = cls(
                fs, data_dir, lock=lock, identity=identity, defaults=defaults or LogOptions(), new_id=new_id
            )
            storage._open_topics(now_ms)
        except BaseException:
            lock.release()
            raise
        return storage

    def partition(self, topic: str, index: int) -> PartitionLog | None:
        """The log of a partition; None when there is none."""
        known = self.topics.get(topic)
        if known is None or not 0 <= index < len(known.partitions):
            return None
        return known.partitions[index]

    # Topics

    def create_topic(
        self, name: str, *, partitions: int, now_ms: int, configs: Mapping[str, str] | None = None
    ) -> Topic:
        """Create a topic; it exists when this returns. Raises `TopicRefused` and `FsError`."""
        self.check_new_topic(name, partitions=partitions, configs=configs or {})
        entry = _TopicEntry(name, self._new_id(), partitions, dict(configs or {}))
        for index in range(partitions):
            self._set_aside(name, index, entry.id)
        topic = self._open_topic(entry, now_ms)
        self._fs.sync_dir(self._logs_dir)
        self._write_topics({**self.topics, name: topic})
        return topic

    def check_new_topic(self, name: str, *, partitions: int, configs: Mapping[str, str]) -> None:
        """Raise the `TopicRefused` that `create_topic` would; changes nothing (validate_only)."""
        if not _TOPIC_NAME.fullmatch(name) or name in (".", ".."):
            raise TopicRefused(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"topic name {name!r} is not 1 to 249 of letters, digits, dot, underscore and hyphen",
            )
        if name in self.topics:
            raise TopicRefused(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name} already exists")
        self._check_partitions(partitions)
        log_options(configs, defaults=self.defaults)

    def delete_topic(self, name: str) -> Topic:
        """Delete a topic; its files are removed by `reclaim`. Raises `TopicRefused` and `FsError`.

        It is gone once topics.json says so. A directory that cannot be set aside after that stays where it is
        until a topic of its name is created.
        """
        topic = self._known(name)
        self._write_topics({known: value for known, value in self.topics.items() if known != name})
        for index, log in enumerate(topic.partitions):
            log.abandon()
            with suppress(FsError):
                self._set_aside(name, index, topic.id)
        with suppress(FsError):
            self._fs.sync_dir(self._logs_dir)
        return topic

    def grow_topic(self, name: str, partitions: int, *, now_ms: int) -> Topic:
        """Give a topic more partitions. Raises `TopicRefused` (INVALID_PARTITIONS) and `FsError`."""
        topic = self.check_growth(name, partitions)
        count = len(topic.partitions)
        for index in range(count, partitions):
            self._set_aside(name, index, self._new_id())
        added = self._open_logs(name, range(count, partitions), topic.configs, now_ms)
        self._fs.sync_dir(self._logs_dir)
        grown = Topic(name, topic.id, topic.configs, topic.partitions + added)
        self._write_topics({**self.topics, name: grown})
        return grown

    def check_growth(self, name: str, partitions: int) -> Topic:
        """The topic; raises the `TopicRefused` that `grow_topic` would and changes nothing."""
        topic = self._known(name)
        count = len(topic.partitions)
        if partitions <= count:
            raise TopicRefused(
                ErrorCode.INVALID_PARTITIONS, f"topic {name} has {count} partitions; it can only grow"
            )
        self._check_partitions(partitions - count)
        return topic

    def alter_topic(self, name: str, configs: Mapping[str, str]) -> Topic:
        """Replace a topic's configuration, at once for its logs. Raises `TopicRefused` and `FsError`."""
        topic = self._known(name)
        options = log_options(configs, defaults=self.defaults)
        altered = Topic(name, topic.id, dict(configs), topic.partitions)
        self._write_topics({**self.topics, name: altered})
        for log in altered.partitions:
            log.options = options
        return altered

    def reclaim(self) -> None:
        """Remove the files of deleted topics. Takes as long as the device takes; for a worker thread."""
        for name in self._fs.listdir(self._logs_dir):
            if name.endswith(_DELETED_SUFFIX):
                directory = self._logs_dir / name
                for file in self._fs.listdir(directory):
                    self._fs.remove(directory / file)
                self._fs.rmdir(directory)

    # Retention, closing

    def retention(self, now_ms: int) -> list[PartitionLog]:
        """Apply every log's retention; those returned have something to do in a sync.

        A log whose device refuses is left as it is until the next time.
        """
        unsynced = []
        for topic in self.topics.values():
            for log in topic.partitions:
                with suppress(FsError):
                    if log.retention(now_ms=now_ms):
                        unsynced.append(log)
        return unsynced

    def close(self) -> None:
        """Close every log cleanly and release the directory.

        A log whose device refuses is left as it is; the next open recovers it as after a crash.
        """
        for topic in self.topics.values():
            for log in topic.partitions:
                with suppress(FsError, LogStopped):
                    log.close()
        self._lock.release()

    def _open_topics(self, now_ms: int) -> None:
        stored = datafile.load(self._fs, self.data_dir / "topics.json", _TopicsFile)
        for entry in stored.topics if stored else []:
            topic = self._open_topic(entry, now_ms)
            self._register(topic)
            self.reports.extend(log.recovery for log in topic.partitions)

    def _open_topic(self, entry: _TopicEntry, now_ms: int) -> Topic:
        logs = self._open_logs(entry.name, range(entry.partitions), entry.configs, now_ms)
        return Topic(entry.name, entry.id, entry.configs, logs)

    def _open_logs(
        self, name: str, indexes: range, configs: Mapping[str, str], now_ms: int
    ) -> tuple[PartitionLog, ...]:
        """The logs of a topic, all or none: a client that tries again on a full disk must cost no files."""
        logs: list[PartitionLog] = []
        try:
            logs.extend(self._open_log(name, index, configs, now_ms) for index in indexes)
        except FsError:
            for log in logs:
                log.abandon()
            raise
        return tuple(logs)

    def _open_log(self, name: str, index: int, configs: Mapping[str, str], now_ms: int) -> PartitionLog:
        options = log_options(configs, defaults=self.defaults)
        return PartitionLog.open(self._fs, self._log_dir(name, index), options=options, now_ms=now_ms)

    def _log_dir(self, name: str, index: int) -> Path:
        return self._logs_dir / f"{name}-{index}"

    def _set_aside(self, name: str, index: int, topic_id: uuid.UUID) -> None:
        """Move a directory out of the way, if there is one; `reclaim` removes it."""
        directory = self._log_dir(name, index)
        if self._fs.exists(directory):
            self._fs.rename(directory, self._logs_dir / f"{index}.{topic_id.hex}{_DELETED_SUFFIX}")

    def _known(self, name: str) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            raise TopicRefused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
        return topic

    def _check_partitions(self, added: int) -> None:
        total = sum(len(topic.partitions) for topic in self.topics.values()) + added
        if added < 1 or total > PARTITIONS_MAX:
            raise TopicRefused(
                ErrorCode.INVALID_PARTITIONS,
                f"{added} partitions: at least 1, at most {PARTITIONS_MAX} in all",
            )

    def _register(self, topic: Topic) -> None:
        self.topics[topic.name] = topic
        self.topics_by_id[topic.id] = topic

    def _write_topics(self, topics: dict[str, Topic]) -> None:
        """Store a new set of topics, then use it."""
        entries = [
            _TopicEntry(topic.name, topic.id, len(topic.partitions), dict(topic.configs))
            for topic in topics.values()
        ]
        content = _TopicsFile(datafile.FORMAT_VERSION, entries)
        datafile.store(self._fs, self.data_dir / "topics.json", content)
        self.topics.clear()
        self.topics_by_id.clear()
        for topic in topics.values():
            self._register(topic)


def _take_lock(fs: Fs, data_dir: Path) -> Lock:
    try:
        return fs.lock(data_dir / "lock", holder=str(os.getpid()))
    except Locked as locked:
        raise Unavailable(
            f"data directory {data_dir} is in use by the broker with pid {locked.holder or 'unknown'}; "
            "stop that broker or choose another --data-dir"
        ) from None
