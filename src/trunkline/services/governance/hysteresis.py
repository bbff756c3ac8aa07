"""From the results of one check to whether it speaks for keeping readers away. Pure.

Results are ordered by the time of their events, not by their arrival, so that a late one finds its place; two
of one moment go by their identity. A check is `failing` from a failure that fulfils a trigger on, until it
passes often enough in a row: between the two nothing changes, which is the hysteresis. Failures before a
release do not count again.

What is kept of a check is bounded: the newest `KEPT_MAX` results, each with whether the check was failing
after it. A late result is taken in as long as the runs that a rule may look back on are kept before it; an
older one is ignored, and so is one that is kept already. Hence two facts that the handler relies on:

- the same results in any order come to the same state, unless one is later than `LATE_MAX` others;
- results that come again, all of them, in their order, change nothing.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from trunkline.catalogue.events.policy import Mode
from trunkline.catalogue.events.quality import Severity
from trunkline.services.settings.governance import RUNS_MAX, Trigger

LATE_MAX: Final = 12
"""A result may come this many results of its check late."""

KEPT_MAX: Final = RUNS_MAX + LATE_MAX

SEVERITIES: Final[dict[Severity, int]] = {"info": 1, "warning": 2, "error": 3, "critical": 4}
PASSED: Final = 0
"""The rank of a result that is no failure."""

MODES: Final[dict[Mode, int]] = {"monitor": 0, "warn": 1, "enforce": 2}
"""Weak to strong."""

IDENTITY_DIGITS: Final = 24


class Result(NamedTuple):
    """One run of a check. `rank` is that of its severity in `SEVERITIES`, or `PASSED`."""

    time_us: int
    identity: str
    rank: int


class Kept(NamedTuple):
    """A result, and whether the check was failing after it: the mode, or None. Stored as JSON."""

    time_us: int
    identity: str
    rank: int
    failing: Mode | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a check begins to be failing, by the least severity that counts, and when it ends to be."""

    triggers: tuple[tuple[Severity, Trigger], ...]
    release_passes: int
    exempt_roles: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """What the results come to. `rule` is the trigger in words, of the failure that began it."""

    failing: Mode | None
    rule: str | None


def result_of(source: str, event_id: str, *, time_us: int, severity: Severity | None) -> Result:
    """The result that an event reports; `severity` None for a pass."""
    identity = sha256(f"{source}\0{event_id}".encode()).hexdigest()[:IDENTITY_DIGITS]
    return Result(time_us, identity, PASSED if severity is None else SEVERITIES[severity])


def taken_in(kept: Sequence[Kept], result: Result, rules: Rules) -> list[Kept] | None:
    """What is kept with this result; None if it is there already, or too late to count."""
    place = bisect_left(kept, result[:2], key=lambda one: one[:2])
    if place < len(kept) and kept[place][:2] == result[:2]:
        return None
    if len(kept) == KEPT_MAX and place < KEPT_MAX - LATE_MAX:
        return None
    after = [*kept[:place]]
    for one in (result, *(Result(*later[:3]) for later in kept[place:])):
        after.append(Kept(*one, _failing(after, one.rank, rules)))
    return after[-KEPT_MAX:]


def verdict(kept: Sequence[Kept], rules: Rules) -> Verdict:
    """Where the check stands after the newest result."""
    if not kept or kept[-1].failing is None:
        return Verdict(None, None)
    newest = kept[-1]
    for at in range(len(kept) - 1, -1, -1):
        if at == 0 or kept[at - 1].failing != newest.failing:
            return Verdict(newest.failing, _rule(kept[:at], kept[at].rank, rules))
    raise AssertionError(kept)


def encode(kept: Sequence[Kept]) -> str:
    """As it is stored."""
    return msgspec.json.encode(kept).decode()


def decode(text: str) -> list[Kept]:
    """As it was stored."""
    return msgspec.json.decode(text, type=list[Kept])


def _failing(before: Sequence[Kept], rank: int, rules: Rules) -> Mode | None:
    was = before[-1].failing if before else None
    if rank == PASSED:
        return None if was is not None and _passes_before(before) + 1 >= rules.release_passes else was
    found = _strongest(before, rank, rules)
    if found is None or (was is not None and MODES[was] >= MODES[found[0]]):
        return was
    return found[0]


def _passes_before(before: Sequence[Kept]) -> int:
    passes = 0
    for one in reversed(before):
        if one.rank != PASSED:
            break
        passes += 1
    return passes


def _strongest(before: Sequence[Kept], rank: int, rules: Rules) -> tuple[Mode, str] | None:
    """The strongest mode among the triggers that such a failure fulfils, with the trigger in words."""
    found: tuple[Mode, str] | None = None
    for severity, trigger in rules.triggers:
        least = SEVERITIES[severity]
        if trigger.mode == "off" or rank < least:
            continue
        fails = 1 + _fails(before, least, trigger.runs - 1)
        if fails >= trigger.fails and (found is None or MODES[trigger.mode] > MODES[found[0]]):
            found = trigger.mode, f"{severity}: {trigger.fails} of {trigger.runs} runs"
    return found


def _fails(before: Sequence[Kept], least: int, runs: int) -> int:
    """Failures of this rank or worse in the last runs, back to the last release."""
    fails = 0
    later: Kept | None = None
    for one in before[len(before) - min(runs, len(before)) :][::-1]:
        if later is not None and one.failing is not None and later.failing is None:
            break
        fails += one.rank >= least
        later = one
    return fails


def _rule(before: Sequence[Kept], rank: int, rules: Rules) -> str | None:
    found = _strongest(before, rank, rules)
    return None if found is None else found[1]
