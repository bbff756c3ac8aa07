"""The numbers as they are stored: read, added to in Python, where they are exact, and written back.

Called under the locks of the tenants, so that nobody writes between reading and writing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from trunkline.services.billing import metering
from trunkline.services.billing.exact import for_driver
from trunkline.services.billing.facts import Fact
from trunkline.services.billing.metering import NOTHING, Key, Line, Total
from trunkline.services.billing.sql import values_rows

_READ_HEAD: Final = (
    "SELECT found.tenant, found.period, found.meter, found.grouping, found.value, found.events, "
    "found.newest_us, found.latest, found.quota FROM (VALUES "
)
# SQLite would walk through the table for `(a, b, c, d) IN (...)`; a cross join fixes the order of its loops.
_READ_TAIL: Final = (
    ") AS wanted CROSS JOIN usage_agg AS found WHERE found.tenant = wanted.column1 AND "
    "found.period = wanted.column2 AND found.meter = wanted.column3 AND found.grouping = wanted.column4"
)
_WRITE_HEAD: Final = (
    "INSERT INTO usage_agg (tenant, period, meter, grouping, value, events, newest_us, latest, quota) VALUES "
)
_WRITE_TAIL: Final = (
    " ON CONFLICT (tenant, period, meter, grouping) DO UPDATE SET value = excluded.value, "
    "events = excluded.events, newest_us = excluded.newest_us, latest = excluded.latest, "
    "quota = excluded.quota"
)
_JOIN_HEAD: Final = "INSERT INTO usage_unique (tenant, period, meter, grouping, member) VALUES "
_JOIN_TAIL: Final = " ON CONFLICT DO NOTHING RETURNING tenant, period, meter, grouping, member"


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A stored number, and the limit that it was last compared with."""

    total: Total = NOTHING
    quota: Decimal | None = None


FRESH: Final = Kept()
"""A number that is not there yet."""


@dataclass(frozen=True, slots=True)
class Addition:
    """What some facts add: the numbers before, the lines, and the members of these that are new."""

    before: Mapping[Key, Kept]
    lines: Mapping[Key, Line]
    new_members: Mapping[Key, set[str]]

    def kept(self, key: Key) -> Kept:
        """The number before."""
        return self.before.get(key, FRESH)

    def after(self, key: Key) -> Kept:
        """The number with its line added. Raises `PermanentFailure` for a quantity that is none."""
        kept = self.kept(key)
        return Kept(metering.add(kept.total, self.lines[key], self.new_members.get(key, ())), kept.quota)

    def steps(self, key: Key) -> Iterator[tuple[Fact, Total]]:
        """The number after each fact of its line."""
        return metering.walk(self.kept(key).total, self.lines[key], self.new_members.get(key, ()))


def read(tx: Connection, keys: Collection[Key]) -> dict[Key, Kept]:
    """Those of these numbers that are there."""
    rows = values_rows(tx, _READ_HEAD, _READ_TAIL, keys)
    return {
        (tenant, period, meter, group): Kept(
            Total(Decimal(value), events, newest_us, latest), None if quota is None else Decimal(quota)
        )
        for tenant, period, meter, group, value, events, newest_us, latest, quota in rows
    }


def write(tx: Connection, numbers: Mapping[Key, Kept]) -> None:
    """Store these numbers in place of what was there."""
    rows = (
        (
            *key,
            for_driver(tx, kept.total.value),
            kept.total.events,
            kept.total.newest_us,
            kept.total.latest,
            None if kept.quota is None else for_driver(tx, kept.quota),
        )
        for key, kept in numbers.items()
    )
    values_rows(tx, _WRITE_HEAD, _WRITE_TAIL, rows)


def join(tx: Connection, lines: Mapping[Key, Line]) -> dict[Key, set[str]]:
    """Keep the members in the lines of meters that count different ones; returns those that are new."""
    rows: list[Sequence[Any]] = [
        (*key, member)
        for key, line in lines.items()
        if line.version.aggregation == "unique"
        for member in dict.fromkeys(metering.members(line))
    ]
    new: dict[Key, set[str]] = {}
    for tenant, period, meter, group, member in values_rows(tx, _JOIN_HEAD, _JOIN_TAIL, rows):
        new.setdefault((tenant, period, meter, group), set()).add(member)
    return new


def whole(keys: Iterable[Key]) -> list[Key]:
    """The keys of whole meters."""
    return [key for key in keys if key[3] == metering.WHOLE]
