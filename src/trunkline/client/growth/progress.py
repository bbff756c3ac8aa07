"""How long a growth waits for what, and what it tells while it does."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from trunkline.client.config import PARTITIONS_LEASE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a growth waits for what, in seconds. The defaults are safe; tests are in more of a hurry."""

    drain: float = 60.0
    """A topic stays closed so long for groups that are behind. With what comes after, it is well below the
    time for which publishers hold events (`DELIVERY_TIMEOUT_MS`)."""

    quiet: float = 1.0
    """Between the fence and reading the ends of the log: what had been let in before has arrived then."""

    lease: float = PARTITIONS_LEASE_SECONDS + 1.0
    """The topic stays closed so long after the partitions were added: a publisher's lease, and a second for
    an answer with the old number that is under way."""

    takeover: float = 6.0
    """Between overtaking a run and opening its topic: longer than the request it may have in hand."""

    poll: float = 0.5


SAFE_PACE: Final = Pace()


class Doing(StrEnum):
    """What a run tells about itself."""

    RESUMING = "resuming"
    CLOSING = "closing"
    CLOSED = "closed"
    DRAINING = "draining"
    DRAINED = "drained"
    ADDED = "added"
    OVERDUE = "overdue"
    SETTLED = "settled"
    OPENED = "opened"
    DONE = "done"
    ABANDONED = "abandoned"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `seconds` count from the beginning of the run; `lags` are the records each group has left."""

    topic: str
    before: int = msgspec.field(name="from")
    after: int = msgspec.field(name="to")
    doing: Doing
    seconds: float
    lags: dict[str, int] = {}
