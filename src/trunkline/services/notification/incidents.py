"""The life of an incident: open or closed by the latest of its events, in whatever order they came. Pure.

What an incident is depends on the set of its events alone: the first and the last that fired, how many, the
last that resolved. `told_us`, `told_by`, `repeat_us` and `repeats` are of the telling and depend on when
events came.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from trunkline.services.notification.decide import Verdict
from trunkline.services.notification.facts import Facts

State: TypeAlias = Literal["firing", "resolved"]

SECOND_US: Final = 1_000_000

FIRING: Final[State] = "firing"
RESOLVED: Final[State] = "resolved"


@dataclass(slots=True, kw_only=True)
class Incident:
    """One incident. Columns of the table `notification_incident`, in order."""

    id: str
    tenant: str
    rule: str
    key: str
    state: State = RESOLVED
    severity: str = "info"
    count: int = 0
    first_us: int | None = None
    fired_us: int | None = None
    fired_source: str | None = None
    fired_id: str | None = None
    resolved_us: int | None = None
    data: str = "{}"
    told_us: int | None = None
    told_by: str | None = None
    repeat_us: int | None = None
    repeats: int = 0
    changed_us: int = 0

    @property
    def is_firing(self) -> bool:
        return self.state == FIRING

    def fire(self, facts: Facts, verdict: Verdict) -> None:
        """An event of it fired."""
        self.count += 1
        self.first_us = facts.time_us if self.first_us is None else min(self.first_us, facts.time_us)
        moment = (facts.time_us, facts.source, facts.id)
        if self.fired_us is None or moment > (self.fired_us, self.fired_source or "", self.fired_id or ""):
            self.fired_us, self.fired_source, self.fired_id = moment
            self.data = facts.data_json
            self.severity = verdict.severity
        self._settle()

    def resolve(self, facts: Facts) -> bool:
        """An event resolved it; returns whether it was open until now."""
        was_firing = self.is_firing
        self.resolved_us = max(self.resolved_us or facts.time_us, facts.time_us)
        self._settle()
        return was_firing and not self.is_firing

    def tell(self, time_us: int, *, now_us: int, repeat_s: int) -> None:
        """It is told of, for an event of `time_us`; unless it is closed before, again after `repeat_s`."""
        self.told_us = time_us
        self.repeats = 0
        self.repeat_us = now_us + repeat_s * SECOND_US if repeat_s else None

    def forget_telling(self) -> None:
        """It is closed: when it opens again, that is news."""
        self.told_us = self.told_by = self.repeat_us = None
        self.repeats = 0

    def _settle(self) -> None:
        is_open = self.fired_us is not None and (self.resolved_us is None or self.fired_us > self.resolved_us)
        self.state = FIRING if is_open else RESOLVED
