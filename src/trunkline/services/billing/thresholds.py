"""Which levels of a limit are reached, and by which fact. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trunkline.services.billing.exact import EXACT
from trunkline.services.billing.facts import Fact
from trunkline.services.billing.metering import Total

EXCEEDED: Final = 0
"""Stands, among levels, for more than the limit; it comes right behind the level of 100 percent."""

_PERCENT: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be used in a period; `levels` are percentages of it that are told of when they are reached."""

    limit: Decimal
    levels: tuple[int, ...]

    def reached(self, used: Decimal) -> list[int]:
        """The levels at or below what was used, in order. Nothing used reaches nothing."""
        if used <= 0:
            return []
        share = EXACT.multiply(used, _PERCENT)
        found = [level for level in set(self.levels) if share >= EXACT.multiply(Decimal(level), self.limit)]
        if used > self.limit:
            found.append(EXCEEDED)
        return sorted(found, key=_place)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A level, the fact with which it was reached, and how much was used with that fact."""

    level: int
    fact: Fact
    used: Decimal


def crossings(limit: Limit, steps: Iterable[tuple[Fact, Total]], wanted: Collection[int]) -> list[Crossing]:
    """Where the wanted levels are first reached on the way; those that are reached nowhere are left out."""
    missing = set(wanted)
    found: list[Crossing] = []
    for fact, total in steps:
        for level in limit.reached(total.value):
            if level in missing:
                missing.discard(level)
                found.append(Crossing(level, fact, total.value))
        if not missing:
            break
    return found


def _place(level: int) -> tuple[int, bool]:
    return (100, True) if level == EXCEEDED else (level, False)
