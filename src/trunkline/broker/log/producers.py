"""Idempotent producers: what each wrote last, so that a retry is recognised and a gap refused (KIP-98).

Sans-IO. For each producer id the log keeps its epoch and its last five batches, as many as an idempotent
client may have in flight. A batch is then one of:

- a **retry** of one of those five (same epoch, same first and last sequence): nothing is appended and the
  client gets the offsets of the first time;
- the **next** one (first sequence = last sequence + 1, wrapping from 2^31 - 1 to 0), the first of a new epoch
  (sequence 0), or the first ever seen of a producer id: appended;
- anything else: refused. An older epoch was fenced; a sequence that does not follow means that a batch is
  missing.

An unknown producer id may begin at any sequence: its state may have expired, or its records may have been
deleted by retention, and refusing would stop a healthy producer for good.
"""

from collections import deque
from typing import TypeAlias

import msgspec

from trunkline.broker.log.errors import AppendRefused
from trunkline.broker.protocol.errors import ErrorCode

BATCHES_REMEMBERED = 5
"""The most requests an idempotent client may have in flight (max.in.flight.requests.per.connection)."""

SEQUENCE_MODULUS = 2**31

PRODUCERS_MAX = 100_000
"""Producers remembered in one partition, about 50 MB; beyond it the longest idle are forgotten early."""


class ProducerBatch(msgspec.Struct, frozen=True):
    """The part of a batch header that identifies it among its producer's batches."""

    producer_id: int
    epoch: int
    first_sequence: int
    record_count: int

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record, wrapped at 2^31."""
        return (self.first_sequence + self.record_count - 1) % SEQUENCE_MODULUS


class WrittenBatch(msgspec.Struct, frozen=True, array_like=True):
    """A remembered batch and where it went."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp_ms: int


class ProducerState(msgspec.Struct, array_like=True):
    """One producer: its current epoch, its last batches (oldest first) and when it last wrote."""

    producer_id: int
    epoch: int
    batches: list[WrittenBatch]
    used_ms: int


Snapshot: TypeAlias = list[ProducerState]


class Producers:
    """The idempotent producers of one partition."""

    def __init__(self, snapshot: Snapshot = []) -> None:  # noqa: B006 - only read
        # Insertion order is order of last use, so the idle ones come first.
        self._producers = {
            state.producer_id: _Producer(state.epoch, deque(state.batches, BATCHES_REMEMBERED), state.used_ms)
            for state in snapshot
        }

    def __len__(self) -> int:
        return len(self._producers)

    def check(self, batch: ProducerBatch) -> WrittenBatch | None:
        """Decide on a batch before it is written: None to append it, the first writing if it is a retry.

        Raises `AppendRefused` with INVALID_PRODUCER_EPOCH or OUT_OF_ORDER_SEQUENCE_NUMBER.
        """
        known = self._producers.get(batch.producer_id)
        if known is None:
            return None
        if batch.epoch < known.epoch:
            raise AppendRefused(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {batch.producer_id} has epoch {known.epoch}; epoch {batch.epoch} was fenced",
            )
        if batch.epoch > known.epoch:
            _check_first_of_epoch(batch)
            return None
        written = known.find(batch)
        if written is None:
            known.check_follows(batch)
        return written

    def record(self, batch: ProducerBatch, *, base_offset: int, timestamp_ms: int) -> None:
        """Remember a batch that was appended at `base_offset`."""
        known = self._producers.pop(batch.producer_id, None)
        if known is None or known.epoch != batch.epoch:
            known = _Producer(batch.epoch, deque(maxlen=BATCHES_REMEMBERED), timestamp_ms)
            if len(self._producers) >= PRODUCERS_MAX:
                del self._producers[next(iter(self._producers))]
        known.batches.append(
            WrittenBatch(
                batch.first_sequence,
                batch.last_sequence,
                base_offset,
                base_offset + batch.record_count - 1,
                timestamp_ms,
            )
        )
        known.used_ms = timestamp_ms
        self._producers[batch.producer_id] = known

    def expire(self, *, idle_since_ms: int) -> None:
        """Forget producers that have not written since `idle_since_ms`."""
        idle = [key for key, producer in self._producers.items() if producer.used_ms < idle_since_ms]
        for producer_id in idle:
            del self._producers[producer_id]

    def snapshot(self) -> Snapshot:
        """Everything remembered, least recently used first; `Producers(snapshot)` continues from it."""
        return [
            ProducerState(producer_id, producer.epoch, list(producer.batches), producer.used_ms)
            for producer_id, producer in self._producers.items()
        ]


class _Producer:
    __slots__ = ("batches", "epoch", "used_ms")

    def __init__(self, epoch: int, batches: deque[WrittenBatch], used_ms: int) -> None:
        self.epoch = epoch
        self.batches = batches
        self.used_ms = used_ms

    def find(self, batch: ProducerBatch) -> WrittenBatch | None:
        for written in self.batches:
            if (
                written.first_sequence == batch.first_sequence
                and written.last_sequence == batch.last_sequence
            ):
                return written
        return None

    def check_follows(self, batch: ProducerBatch) -> None:
        expected = (self.batches[-1].last_sequence + 1) % SEQUENCE_MODULUS
        if batch.first_sequence != expected:
            raise AppendRefused(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {batch.producer_id} sent sequence {batch.first_sequence}; {expected} comes next",
            )


def _check_first_of_epoch(batch: ProducerBatch) -> None:
    if batch.first_sequence != 0:
        raise AppendRefused(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {batch.producer_id} began epoch {batch.epoch} at {batch.first_sequence}, not at 0",
        )
