"""The growth journal: one internal topic that tells everybody what was done to which topic.

A format that is kept for ever. `version` is read first; one that is not known is refused, because a
consumer that guesses would read a tenant's events out of order. Other fields mean a new version, and this
module goes on reading the old ones.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from trunkline.catalogue.internal import GROWTH_JOURNAL
from trunkline.client.config import (
    Config,
    ConnectionOptions,
    ProducerOptions,
    producer_config,
    reader_of,
)
from trunkline.client.errors import ClusterUnavailable, GrowthOvertaken, JournalUnreadable, KafkaFailed
from trunkline.client.growth.plan import Growth, latest
from trunkline.client.kafka import Admin, Consumer, Partition, Producer, Report
from trunkline.codec.record import Encoded, Record

JOURNAL: Final[Partition] = (GROWTH_JOURNAL.name, 0)

READ_SECONDS: Final = 10.0
READ_RECORDS: Final = 500
POLL_SECONDS: Final = 0.1

APPEND_SECONDS: Final = 30.0
"""How long an entry may take to be acknowledged; a leader election fits into it."""


class _Version(msgspec.Struct):
    version: int


_decode_version: Final = msgspec.json.Decoder(_Version).decode
_decode_growth: Final = msgspec.json.Decoder(Growth).decode


def encode(entry: Growth) -> Encoded:
    """As a record: the key is the topic that grows."""
    return Encoded(entry.topic.encode(), msgspec.json.encode(entry), [])


def decode(record: Record) -> Growth:
    """Raises `JournalUnreadable` for everything that this version does not know for certain."""
    where = f"{record.topic}/{record.partition}@{record.offset}"
    try:
        version = _decode_version(record.value or b"").version
        if version != 1:
            raise JournalUnreadable(
                f"the growth journal has an entry of version {version} at {where}; this Trunkline knows "
                "version 1. Upgrade it"
            )
        return _decode_growth(record.value or b"")
    except msgspec.MsgspecError as error:
        raise JournalUnreadable(
            f"the growth journal has an entry at {where} that is none ({error}); who may write that topic? "
            "Nothing is read past it: delete the records up to it once you know what has grown"
        ) from error


class KnownGrowths:
    """What the journal says, read again only when it has become longer. For one thread."""

    def __init__(self) -> None:
        self._topic_id = ""
        self._next = 0
        self._entries: list[Growth] = []

    def refreshed(self, admin: Admin) -> tuple[Growth, ...]:
        """The growths that the cluster knows of; none without a journal.

        Raises `ClusterUnavailable`, `KafkaFailed` and `JournalUnreadable`.
        """
        topic, _ = JOURNAL
        there = admin.describe([topic]).get(topic)
        if there is None:
            return ()
        low, high = admin.offsets([JOURNAL])[JOURNAL]
        if there.topic_id != self._topic_id or self._next > high:
            self._topic_id, self._next, self._entries = there.topic_id, 0, []
        if self._next < high:
            self._entries += [decode(record) for record in _read(admin, max(low, self._next), high)]
            self._next = high
        return latest(self._entries)


def _read(admin: Admin, start: int, end: int) -> list[Record]:
    """The records of the journal from `start` up to, not including, `end`."""
    deadline = time.monotonic() + READ_SECONDS
    consumer = Consumer(reader_of(admin.config))
    records: list[Record] = []
    try:
        consumer.assign({JOURNAL: start})
        while consumer.at_end.get(JOURNAL, 0) < end and (not records or records[-1].offset + 1 < end):
            records += consumer.poll(READ_RECORDS, POLL_SECONDS)
            if time.monotonic() > deadline:
                raise ClusterUnavailable(f"{JOURNAL[0]} could not be read within {READ_SECONDS:g} s")
    finally:
        consumer.close()
    return [record for record in records if record.offset < end]


class Journal:
    """For the one who grows a topic: reads and appends."""

    def __init__(self, connection: ConnectionOptions, admin: Admin) -> None:
        self._admin = admin
        options = ProducerOptions(delivery_timeout_ms=int(APPEND_SECONDS * 1000))
        # One entry at a time, so nothing could go along; and one that is there twice counts once, so the half
        # second in which an idempotent producer gets its number would be lost.
        self._config: Config = {
            **producer_config(connection, options),
            "linger.ms": 0,
            "enable.idempotence": False,
        }
        self._known = KnownGrowths()

    def ensure(self, *, replication_factor: int, min_insync_replicas: str) -> None:
        """Create the journal's topic if the cluster has none, as durable as the topic that grows."""
        if not self._admin.describe([GROWTH_JOURNAL.name]):
            self._admin.create(
                GROWTH_JOURNAL.name,
                partitions=1,
                replication_factor=replication_factor,
                config={"min.insync.replicas": min_insync_replicas, **GROWTH_JOURNAL.config},
            )

    def read(self) -> tuple[Growth, ...]:
        """See `KnownGrowths.refreshed`."""
        return self._known.refreshed(self._admin)

    def append(self, entry: Growth, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Write an entry and see that it counts.

        Raises `GrowthOvertaken` when another entry was first, `ClusterUnavailable` when it is not known
        whether it was written (repeating it is safe), and `KafkaFailed`.
        """
        producer: Producer[None] = Producer(self._config)
        deadline = monotonic() + APPEND_SECONDS
        try:
            producer.send(GROWTH_JOURNAL.name, encode(entry), None)
            reports: list[Report[None]] = []
            while not reports and monotonic() < deadline:
                reports = producer.poll(POLL_SECONDS)
        finally:
            producer.drain()
        # An entry without a clear outcome may be there all the same; the journal itself tells.
        standing = {growth.growth: growth for growth in self.read()}.get(entry.growth)
        if standing == entry:
            return
        if not reports or (reports[0].code is not None and not reports[0].lost):
            raise ClusterUnavailable(f"{GROWTH_JOURNAL.name}: an entry was not acknowledged in time")
        if (code := reports[0].code) is not None:
            raise KafkaFailed(code, f"{GROWTH_JOURNAL.name}: {reports[0].message}")
        raise GrowthOvertaken(f"another growth of {entry.topic} is under way, or has gone on with this one")
