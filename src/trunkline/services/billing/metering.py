"""From facts to numbers, exactly. Pure.

A fact adds one value to the whole of each meter that reads it, and, where the meter groups, one to its group.
Every aggregation gives the same for the same facts in any order: sums and counts commute, a set has no order,
the maximum has none, and the latest goes by the time and identity of the event and not by its arrival.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Line:
    """What some facts add to one number: a value of each, in order. `version` is that of the first.

    Values are in the unit of the meter, for `unique` the members.
    """

    version: Version
    values: list[Any] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)


class Total(msgspec.Struct, frozen=True):
    """One number as it is kept. `latest` orders the events of a meter that takes the latest."""

    value: Decimal = ZERO
    events: int = 0
    newest_us: int = -FOR_EVER
    latest: str | None = None


NOTHING: Final = Total()


def measure(facts: Iterable[Fact], meters: Meters) -> dict[Key, Line]:
    """What the facts add to which numbers."""
    lines: dict[Key, Line] = {}
    by_type = meters.by_type
    for fact in facts:
        for version in by_type.get(fact.type, ()):
            if not version.from_us <= fact.time_us < version.until_us:
                continue
            value = value_of(version, fact.data)
            if value is None:
                continue
            _add(lines, (fact.tenant, fact.period, version.code, WHOLE), version, value, fact)
            if version.group_by:
                group = group_of(version, fact.data)
                _add(lines, (fact.tenant, fact.period, version.code, group), version, value, fact)
    return lines


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


def _add(lines: dict[Key, Line], key: Key, version: Version, value: Any, fact: Fact) -> None:
    line = lines.get(key)
    if line is None:
        lines[key] = line = Line(version)
    line.values.append(value)
    line.facts.append(fact)
