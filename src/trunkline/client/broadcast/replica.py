"""One instance's copy of the configuration, and what it knows about how good that copy is. Sans-IO.

What look-ups see is replaced whole: once everything was read that was in the topic, then batch by batch.
Until then they see what was kept from before, which is stale.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trunkline.client.broadcast.course import NEVER, Assignment, Course, Sighting
from trunkline.client.broadcast.entries import Change, Rejected
from trunkline.client.broadcast.state import EMPTY, State, View
from trunkline.codec import CodecError, Record, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A record that could not be applied; `where` is its position."""

    where: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where} {self.reason}: {self.detail}"


def applied(state: State, record: Record) -> Rejection | None:
    """Take a record into the state, or say why it cannot be; nothing has changed then. Raises nothing."""
    where = f"{record.topic}/{record.partition}@{record.offset}"
    try:
        state.apply(decode(record))
    except (CodecError, Rejected) as error:
        return Rejection(where=where, reason=error.reason, detail=str(error))
    except Exception as error:  # noqa: BLE001 - one event may not keep the others from being applied
        return Rejection(where=where, reason="failed", detail=repr(error))
    return None


class Replica:
    """Fed by one thread. `view` and `fresh_until` may be read by any."""

    def __init__(self, *, stale_seconds: float) -> None:
        self._stale_seconds = stale_seconds
        self._course = Course()
        self._state = State()
        self._adopted = False
        self.view: View = EMPTY
        """What look-ups see."""
        self.fresh_until = NEVER
        """From then on look-ups are stale, unless it is moved on."""
        self.rejected = 0
        """How many records of the topic could not be applied."""
        self.last_rejected: Rejection | None = None

    @property
    def state(self) -> State:
        """What the topic has added up to so far."""
        return self._state

    @property
    def topic_id(self) -> str:
        """The id of the topic that is read."""
        return self._course.topic_id

    @property
    def positions(self) -> dict[int, int]:
        """The next offset of each partition."""
        return self._course.positions

    @property
    def current_at(self) -> float:
        """When everything had been read the last time."""
        return self._course.current_at

    @property
    def adopted(self) -> bool:
        """Whether look-ups see what the topic says, and not what was kept from before."""
        return self._adopted

    @property
    def emptied(self) -> bool:
        """Whether the topic has lost everything, so that what was known before is kept."""
        return not self._adopted and self._course.current

    def remember(self, changes: Iterable[Change]) -> None:
        """What was kept from before, to be seen until the topic has been read."""
        kept = State()
        kept.restore(changes)
        self.view = kept.view()

    def start_over(self) -> None:
        """The consumer is a new one: the next sighting begins at the beginning."""
        self._course.restarted()

    def seen(self, sighting: Sighting) -> Assignment | None:
        """The cluster was asked; returns what to read from now on if that has changed."""
        assignment = self._course.seen(sighting)
        if assignment is not None and assignment.fresh:
            self._state, self._adopted = State(), False
            self.rejected, self.last_rejected = 0, None
        self._show()
        return assignment

    def read(self, records: Sequence[Record], ends: Mapping[int, int]) -> list[Rejection]:
        """These came, and then the ends of these partitions; returns what could not be applied."""
        rejections = [found for record in records if (found := applied(self._state, record)) is not None]
        if rejections:
            self.rejected += len(rejections)
            self.last_rejected = rejections[-1]
        self._course.read(records, ends)
        self._show()
        return rejections

    def _show(self) -> None:
        if not self._adopted:
            # A topic that was emptied or made anew says nothing about what was known before.
            if not self._course.current or (len(self.view) and not len(self._state)):
                return
            self._adopted = True
        self.view = self._state.view()
        self.fresh_until = self._course.current_at + self._stale_seconds
