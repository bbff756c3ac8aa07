"""The state of one broker: storage, group commit, groups, waiters and settings. No sockets.

Handlers are its users; everything here runs on the loop.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.broker.complaints import Complaints
from trunkline.broker.groups import GroupService
from trunkline.broker.log.commit import Durability, GroupCommit
from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.fs import DiskFull, Fs, FsError
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.storage import Storage, Topic
from trunkline.broker.waiters import Waiters

NODE_ID: Final = 1
"""The id of the only broker of its cluster, as clients see it."""

HOUSEKEEPING_S: Final = 60.0
"""How often retention is applied; Kafka's 5 minutes suit logs that roll less often than a laptop's."""

log = logging.getLogger("trunkline.broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator chooses for one broker."""

    data_dir: Path
    durability: Durability = "fsync"
    auto_create_topics: bool = False
    """Whether a topic comes into being because somebody asks for its metadata."""
    default_partitions: int = 3
    """Partitions of a topic created without a number."""


class Broker:
    """One broker, from the opening of its data directory to its closing."""

    def __init__(self, fs: Fs, settings: Settings) -> None:
        """Open and recover the data directory; needs a running loop.

        Raises `Unavailable` when another broker uses the directory, other `TrunklineError`s when its content
        cannot be used, and `FsError` when the device fails.
        """
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.storage = Storage.open(fs, settings.data_dir, now_ms=self.now_ms())
        try:
            self.commit = GroupCommit(durability=settings.durability)
            self.groups = GroupService(fs, settings.data_dir, commit=self.commit, loop=self.loop)
        except BaseException:
            self.storage.close()
            raise
        self.complaints = Complaints(log, self.loop.time)
        """For what a device in trouble would have logged with every request."""
        self.disk_full = Complaints(log, self.loop.time)
        self.waiters: Waiters[PartitionLog] = Waiters()
        self.stopping = False
        self.kept_metadata: dict[tuple[int, object], bytes] = {}
        """Encoded Metadata answers by version and topics asked for; cleared when what they say changes."""
        self.host = ""
        self.port = 0
        self._housekeeping = self.loop.call_later(HOUSEKEEPING_S, self.housekeep)
        self._reclaim()

    @property
    def findings(self) -> list[str]:
        """What recovery found wrong, a line each."""
        lines = [line for report in self.storage.reports for line in report.lines()]
        return [*lines, *self.groups.findings]

    @property
    def cluster_id(self) -> str:
        """The identity of this data directory, as clients see it."""
        return self.storage.identity.cluster_id

    def advertise(self, host: str, port: int) -> None:
        """Tell clients from now on to connect there."""
        self.host, self.port = host, port
        self.kept_metadata.clear()

    def now_ms(self) -> int:
        """Unix time."""
        return time.time_ns() // 1_000_000

    # -- topics

    def topic(self, name: str) -> Topic | None:
        """A topic by name."""
        return self.storage.topics.get(name)

    def topic_by_id(self, topic_id: bytes) -> Topic | None:
        """A topic by its id on the wire."""
        return self.storage.topics_by_id.get(uuid.UUID(bytes=topic_id))

    def create_topic(self, name: str, *, partitions: int, configs: Mapping[str, str]) -> Topic:
        """Create a topic. Raises `TopicRefused` and `FsError`."""
        topic = self.storage.create_topic(name, partitions=partitions, now_ms=self.now_ms(), configs=configs)
        self.kept_metadata.clear()
        return topic

    def delete_topic(self, name: str) -> Topic:
        """Delete a topic, and with it what groups committed for it. Raises `TopicRefused` and `FsError`."""
        topic = self.storage.delete_topic(name)
        self.kept_metadata.clear()
        for partition in topic.partitions:
            self.commit.forget(partition)
            self.waiters.changed(partition)
        self.groups.carry_out(self.groups.coordinator.topics_deleted([name]))
        self._reclaim()
        return topic

    def grow_topic(self, name: str, partitions: int) -> Topic:
        """Add partitions to a topic. Raises `TopicRefused` and `FsError`."""
        topic = self.storage.grow_topic(name, partitions, now_ms=self.now_ms())
        self.kept_metadata.clear()
        return topic

    def _reclaim(self) -> None:
        """Remove the files of deleted topics where it keeps nobody waiting."""

        def reclaim() -> None:
            try:
                self.storage.reclaim()
            except FsError as error:
                log.warning("files of deleted topics stay until the next start: %s", error)

        self.loop.run_in_executor(None, reclaim)

    # -- trouble

    def refused(self, what: str, error: BaseException) -> str:
        """Tell the operator why the device refused something; returns what a client may know of it."""
        complaints = self.disk_full if isinstance(error, DiskFull) else self.complaints
        complaints.say("%s: %s", what, error)
        return error.told if isinstance(error, FsError | LogStopped) else LogStopped.told

    def took(self) -> None:
        """The device has taken something: if it was full, there is room again."""
        self.disk_full.over("there is room on the disk again; records are taken")

    # -- time

    def housekeep(self) -> None:
        """Apply every topic's retention; runs by itself every `HOUSEKEEPING_S`."""
        self._housekeeping.cancel()
        for partition in self.storage.retention(self.now_ms()):
            self.sync(partition)
        self._housekeeping = self.loop.call_later(HOUSEKEEPING_S, self.housekeep)

    def sync(self, partition: PartitionLog) -> None:
        """Have what happened to a log made durable; nobody waits for it."""
        self.commit.when_durable(partition, lambda _error: None)

    # -- the end

    def release(self) -> None:
        """Answer everyone who waits for records or for other members; later fetches do not wait."""
        self.stopping = True
        self._housekeeping.cancel()
        self.waiters.release()
        self.groups.release()

    async def close(self) -> None:
        """Make everything durable, leave the clean mark, release the directory."""
        self.release()
        try:
            await self.groups.close()
            await self.commit.close()
        finally:
            await self.loop.run_in_executor(None, self.storage.close)


def partition_log(topic: Topic | None, index: int) -> PartitionLog | None:
    """The log of one partition; None when there is no such topic or partition."""
    if topic is None or not 0 <= index < len(topic.partitions):
        return None
    return topic.partitions[index]
