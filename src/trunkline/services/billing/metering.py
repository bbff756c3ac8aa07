"""From facts to numbers, exactly. Pure.

A fact adds one value to the whole of each meter that reads it, and, where the meter groups, one to its group.
Every aggregation gives the same for the same facts in any order: sums and counts commute, a set has no order,
the maximum has none, and the latest goes by the time and identity of the event and not by its arrival.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any, Final, TypeAlias

import msgspec

from trunkline.client.handler import PermanentFailure
from trunkline.services.billing.exact import EXACT, ZERO
from trunkline.services.billing.facts import Fact
from trunkline.services.billing.meters import FOR_EVER, Meters, Version

WHOLE: Final = ""
"""The group that is the whole of a meter."""

QUANTITY_MAX: Final = Decimal(10) ** 18
"""Above it no event could tell of a quantity: decimal texts have 18 digits before the point."""

Key: TypeAlias = tuple[str, str, str, str]
"""Tenant, period, meter, group."""

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Line:
    """What some facts add to one number: a value of each, in order.

    Values are in the unit of the meter; for `unique` they are the members. The lists are not to be changed.
    """

    version: Version
    values: list[Any]
    facts: list[Fact]

    def followed_by(self, other: "Line") -> "Line":
        """Both, the other one behind this."""
        return Line(self.version, self.values + other.values, self.facts + other.facts)

    def ordered(self, places: Mapping[tuple[str, str, str], int]) -> "Line":
        """The same with its facts in the order of these places, by identity."""
        order = sorted(range(len(self.facts)), key=lambda at: places[self.facts[at].identity])
        return Line(self.version, [self.values[at] for at in order], [self.facts[at] for at in order])


class Total(msgspec.Struct, frozen=True, gc=False):
    """One number as it is kept. `latest` orders the events of a meter that takes the latest."""

    value: Decimal = ZERO
    events: int = 0
    newest_us: int = -FOR_EVER
    latest: str | None = None


NOTHING: Final = Total()


def measure(facts: Iterable[Fact], meters: Meters) -> dict[Key, Line]:
    """What the facts add to which numbers; each line has its facts in the order given."""
    found = list(facts)
    alike: dict[tuple[str, str, str], list[Fact]] = {}
    for fact in found:
        alike.setdefault((fact.tenant, fact.period, fact.type), []).append(fact)
    lines: dict[Key, Line] = {}
    mixed: set[Key] = set()
    for (tenant, period, event_type), these in alike.items():
        for version in meters.by_type.get(event_type, ()):
            for group, line in _lines(version, these):
                key = (tenant, period, version.code, group)
                if key in lines:
                    mixed.add(key)
                    line = lines[key].followed_by(line)  # noqa: PLW2901 - the same line, longer
                lines[key] = line
    if mixed:
        places = {fact.identity: place for place, fact in enumerate(found)}
        lines |= {key: lines[key].ordered(places) for key in mixed}
    return lines


def _lines(version: Version, facts: list[Fact]) -> Iterator[tuple[str, Line]]:
    """What facts of one tenant, month and type add to one version of a meter: whole, then groups."""
    if not version.always:
        facts = [fact for fact in facts if version.from_us <= fact.time_us < version.until_us]
    values = [1] * len(facts) if version.aggregation == "count" else _values(version, facts)
    if None in values:
        facts = [fact for fact, value in zip(facts, values, strict=True) if value is not None]
        values = [value for value in values if value is not None]
    if not facts:
        return
    yield WHOLE, Line(version, values, facts)
    if version.group_by:
        groups: dict[str, Line] = {}
        for fact, value in zip(facts, values, strict=True):
            line = groups.setdefault(group_of(version, fact.data), Line(version, [], []))
            line.values.append(value)
            line.facts.append(fact)
        yield from groups.items()


def _values(version: Version, facts: list[Fact]) -> list[Any]:
    data = (fact.data for fact in facts)
    if version.aggregation != "unique" and version.factor == 1 and len(version.values) == 1:
        # Most meters, and so most of what is done for each event.
        name = version.values[0]
        return [one.get(name) for one in data]
    return [value_of(version, one) for one in data]


def value_of(version: Version, data: Mapping[str, Any]) -> Any:
    """What one fact counts: a Decimal, for `unique` a member. None where it has nothing to count."""
    if version.aggregation == "count":
        return 1
    if version.aggregation == "unique":
        member = data.get(version.values[0])
        return None if member is None else str(member)
    found = [data[name] for name in version.values if name in data]
    if not found:
        return None
    raw = found[0] if len(found) == 1 else sum(found)
    return raw if version.factor == 1 else EXACT.multiply(Decimal(raw), version.factor)


def group_of(version: Version, data: Mapping[str, Any]) -> str:
    """The group of a fact, as a JSON object; a field that the event does not have is not in it."""
    return _encode({name: data[name] for name in version.group_by if name in data}).decode()


def add(before: Total, line: Line, new_members: Iterable[str] = ()) -> Total:
    """The number with a line added; `new_members` are those of it that were not counted before.

    Raises `PermanentFailure` for a quantity that is none.
    """
    events = before.events + len(line.values)
    newest_us = max(before.newest_us, *(fact.time_us for fact in line.facts))
    match line.version.aggregation:
        case "count" | "sum":
            value = EXACT.add(before.value, _sum(line.values))
        case "unique":
            value = EXACT.add(before.value, Decimal(len(set(new_members))))
        case "max":
            value = (
                max(before.value, *map(Decimal, line.values)) if before.events else Decimal(max(line.values))
            )
        case "latest":
            last = max(range(len(line.facts)), key=lambda place: order_of(line.facts[place]))
            if before.latest is not None and before.latest > order_of(line.facts[last]):
                return Total(before.value, events, newest_us, before.latest)
            return Total(Decimal(line.values[last]), events, newest_us, order_of(line.facts[last]))
    if value >= QUANTITY_MAX:
        raise PermanentFailure(
            f"{line.version.code} would come to {value:e} {line.version.unit}: that is no usage"
        )
    return Total(value, events, newest_us)


def walk(before: Total, line: Line, new_members: Iterable[str] = ()) -> Iterator[tuple[Fact, Total]]:
    """The number after each fact of a line, in order; the last one is what `add` gives."""
    unseen = set(new_members)
    for value, fact in zip(line.values, line.facts, strict=True):
        before = add(before, Line(line.version, [value], [fact]), unseen & {value})
        unseen.discard(value)
        yield fact, before


def order_of(fact: Fact) -> str:
    """Orders events by time, and those of one moment by identity."""
    return f"{fact.time_us + FOR_EVER:020d} {fact.source} {fact.id}"


def of_meter(lines: Mapping[Key, Line], code: str) -> dict[Key, Line]:
    """The lines of one meter."""
    return {key: line for key, line in lines.items() if key[2] == code}


def members(line: Line) -> Sequence[str]:
    """The members in a line of a meter that counts different ones."""
    return line.values


def _sum(values: Sequence[int | Decimal]) -> Decimal:
    """Exact. Whole numbers are added as such, which is several times faster than as decimals."""
    total = sum(values)
    return Decimal(total) if isinstance(total, int) else reduce(EXACT.add, values, ZERO)
