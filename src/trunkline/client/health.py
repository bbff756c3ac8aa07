"""Whether a consumer is alive, and whether it consumes. Sans-IO: the time is an argument, in seconds.

Alive asks one thing: does the loop go on? A consumer that hangs in a handler, or whose loop has ended, must
be restarted. Ready asks whether events would be processed now. A broker that is away makes a consumer unready
and not dead: restarting it would help nobody.

A member without a partition is unready. A group with more members than partitions keeps some of them so; run
no more members than partitions, or leave the surplus out of what has to be ready.
"""

from dataclasses import dataclass
from typing import Final

from trunkline.client.kafka import GroupStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """How long each thing may last, in seconds.

    `loop` bounds the age of the last poll of a live consumer, `poll` that of a ready one: a batch that takes
    longer makes it unready. `cluster` bounds how long the group's coordinator may be silent, `holding` how
    long a partition may wait for the store or whatever its handler needs, be it to start or to go on.
    `fetching` bounds how long a partition may have no leader, or records that are not handed out.
    """

    loop: float = 120.0
    poll: float = 30.0
    cluster: float = 10.0
    holding: float = 30.0
    fetching: float = 20.0


DEFAULT_LIMITS: Final = HealthLimits()


class Health:
    """The vital signs of one consumer. Written by its loop, read by any thread."""

    def __init__(self, limits: HealthLimits, *, now: float) -> None:
        self._limits = limits
        self._turned = now
        self._running = True
        self._stopping = False
        self._ended: str | None = None
        self._assigned = False
        self._joined_once = False
        self._uncoordinated_since: float | None = now
        self._holding_since: float | None = None
        self._arriving_since: float | None = None
        self._cannot_start = ""
        self._complaints: dict[str, str] = {}

    def turned(self, now: float) -> None:
        """The loop is about to poll."""
        self._turned = now

    def stands(self, standing: GroupStanding, now: float) -> None:
        """How the member stands with its group."""
        if standing.coordinated:
            self._uncoordinated_since = None
        elif self._uncoordinated_since is None:
            self._uncoordinated_since = now

    def assigned(self, partitions: int) -> None:
        """So many partitions are this member's."""
        self._assigned = partitions > 0
        self._joined_once = True

    def holding(self, partitions: int, now: float) -> None:
        """So many partitions wait for the store or for what the handler needs."""
        if not partitions:
            self._holding_since = None
        elif self._holding_since is None:
            self._holding_since = now

    def arriving(self, partitions: int, now: float) -> None:
        """So many partitions are this member's and have not started."""
        if not partitions:
            self._arriving_since = None
        elif self._arriving_since is None:
            self._arriving_since = now

    def cannot_start(self, why: str) -> None:
        """Why partitions could not start when that was last tried."""
        self._cannot_start = why

    def complain(self, about: str, text: str | None) -> bool:
        """Something is wrong until somebody mends it; None when it is over. Returns whether that is new."""
        before = self._complaints.get(about)
        # Another dictionary, because another thread may be reading this one.
        kept = {key: value for key, value in self._complaints.items() if key != about}
        self._complaints = kept if text is None else {**kept, about: text}
        return text != before

    def stopping(self) -> None:
        """The consumer was told to stop."""
        self._stopping = True

    def ended(self, why: str) -> None:
        """The loop is over."""
        self._ended = why

    def not_live(self, now: float) -> list[str]:
        """Why this consumer should be restarted; empty while it is alive."""
        if self._ended is not None:
            return [f"the consumer has ended: {self._ended}"]
        if (age := now - self._turned) > self._limits.loop:
            return [
                f"the last poll was {age:.0f} s ago, more than {self._limits.loop:g} s; a handler may hang"
            ]
        return []

    def not_ready(self, now: float) -> list[str]:
        """Why this consumer does not consume; empty while it does."""
        if self._ended is not None or self._stopping:
            return [f"the consumer has ended: {self._ended}" if self._ended else "the consumer is stopping"]
        reasons = list(self._complaints.values())
        if (age := now - self._turned) > self._limits.poll:
            reasons.append(f"the last poll was {age:.0f} s ago, more than {self._limits.poll:g} s")
        if not self._assigned:
            reasons.append(
                "no partition is assigned to this member" if self._joined_once else "not joined yet"
            )
        if _lasts(self._uncoordinated_since, now, self._limits.cluster):
            reasons.append(f"the cluster does not answer for more than {self._limits.cluster:g} s")
        if _lasts(self._holding_since, now, self._limits.holding):
            reasons.append(
                f"partitions wait for the store or the handler for more than {self._limits.holding:g} s"
            )
        if _lasts(self._arriving_since, now, self._limits.holding):
            reasons.append(
                f"partitions cannot start for more than {self._limits.holding:g} s: {self._cannot_start}"
            )
        return reasons


def _lasts(since: float | None, now: float, bound: float) -> bool:
    return since is not None and now - since > bound
