"""What one member of a group owns, how far each partition is, and what Kafka has not been told yet. Sans-IO.

Theory of operation. A partition is in one of three phases:

    arriving ──started──> reading ──hold──> holding
       ^                     │  ^              │
       └──── start_again ────┘  └─── done ─────┘

- arriving: assigned and paused; where to start has to be read from the store. A partition comes back here
  when another member moved its position (fenced) or when the log went back behind it.
- reading: records flow; each batch ends with `done`.
- holding: a batch could not be applied because the world was at fault. The partition is paused, the batch is
  kept and tried again when it is due; nothing is skipped and nothing is committed.

Offsets of finished batches stay pending until Kafka has accepted them. A partition that is revoked takes its
pending offset along, to be committed at once; the pending offset of a lost one is dropped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from trunkline.client.backoff import Backoff
from trunkline.client.kafka import Partition
from trunkline.client.starts import Start
from trunkline.client.store.position import Lane
from trunkline.codec.record import Record


class Phase(Enum):
    """See the module's theory of operation."""

    ARRIVING = auto()
    READING = auto()
    HOLDING = auto()


@dataclass(slots=True)
class Owned:
    """One partition of ours. `due` is when to try again, on the caller's clock, in seconds.

    `expected` is the position that the store holds, None when it holds none; `next` is the offset behind the
    last record that was applied, or where reading started.
    """

    phase: Phase = Phase.ARRIVING
    lane: Lane | None = None
    expected: int | None = None
    next: int = 0
    held: list[Record] = field(default_factory=list)
    failures: int = 0
    due: float = 0.0


class Progress:
    """The state of all partitions of one member. Every method is cheap and none can fail on valid input."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._owned: dict[Partition, Owned] = {}
        self._pending: dict[Partition, int] = {}

    @property
    def owned(self) -> frozenset[Partition]:
        """The partitions that are assigned to this member."""
        return frozenset(self._owned)

    @property
    def pending(self) -> dict[Partition, int]:
        """Offsets that are final in the store and that Kafka has not accepted yet."""
        return dict(self._pending)

    def get(self, key: Partition) -> Owned | None:
        """The state of one partition, None when it is not ours."""
        return self._owned.get(key)

    def reading(self) -> list[tuple[Partition, Owned]]:
        """The partitions whose records flow."""
        return [(key, owned) for key, owned in self._owned.items() if owned.phase is Phase.READING]

    def count(self, phase: Phase) -> int:
        """How many partitions are in this phase."""
        return sum(owned.phase is phase for owned in self._owned.values())

    def assigned(self, keys: Iterable[Partition]) -> None:
        """These are ours from now on."""
        for key in keys:
            self._owned[key] = Owned()
            self._pending.pop(key, None)

    def revoked(self, keys: Iterable[Partition]) -> dict[Partition, int]:
        """These go to another member; returns the offsets to commit before they do."""
        return {key: offset for key in keys if (offset := self._forget(key)) is not None}

    def lost(self, keys: Iterable[Partition]) -> None:
        """These are another member's already."""
        for key in keys:
            self._forget(key)

    def due(self, phase: Phase, now: float) -> list[Partition]:
        """Partitions in this phase whose time to try again has come."""
        return [key for key, owned in self._owned.items() if owned.phase is phase and owned.due <= now]

    def started(self, key: Partition, start: Start) -> None:
        """The partition is read from where the store says, which Kafka is told too."""
        self._owned[key] = Owned(Phase.READING, start.lane, start.expected, start.offset)
        if start.expected is not None:
            self._pending[key] = start.expected

    def done(self, key: Partition, next_offset: int) -> None:
        """A batch is final in the store."""
        owned = self._owned[key]
        owned.phase, owned.expected, owned.next = Phase.READING, next_offset, next_offset
        owned.held, owned.failures = [], 0
        self._pending[key] = next_offset

    def hold(self, key: Partition, records: Sequence[Record], now: float) -> float:
        """Keep a batch for later; returns the seconds until it is due."""
        owned = self._owned[key]
        owned.phase, owned.held = Phase.HOLDING, list(records)
        return self._postpone(owned, now)

    def start_again(self, key: Partition, now: float) -> float:
        """Ask the store anew where to start; returns the seconds until that is due."""
        owned = self._owned[key]
        owned.phase, owned.held, owned.expected = Phase.ARRIVING, [], None
        self._pending.pop(key, None)
        return self._postpone(owned, now)

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Kafka has accepted these."""
        for key, offset in offsets.items():
            if self._pending.get(key) == offset:
                del self._pending[key]

    def _postpone(self, owned: Owned, now: float) -> float:
        owned.failures += 1
        wait = self._backoff.wait(owned.failures)
        owned.due = now + wait
        return wait

    def _forget(self, key: Partition) -> int | None:
        self._owned.pop(key, None)
        return self._pending.pop(key, None)
