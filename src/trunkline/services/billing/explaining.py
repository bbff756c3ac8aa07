"""From a number to the events behind it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from trunkline.errors import InvalidInput
from trunkline.services.billing import facts
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import plain
from trunkline.services.billing.metering import group_of, value_of
from trunkline.services.billing.meters import Version
from trunkline.services.billing.months import bounds, from_us
from trunkline.services.billing.queries import group_view
from trunkline.services.billing.tables import USAGE_EVENT

SCAN_MAX: Final = 5_000
"""Facts that one page of an explanation looks through; a page may therefore be short and not the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """An event behind a number: `quantity` is what it counts, None where only different ones count.

    `version` is that of the meter by which it was counted.
    """

    number: int
    id: str
    source: str
    type: str
    time: datetime
    quantity: str | None
    member: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Some of the events behind a number, in the order of their arrival. `next` goes on; None at the end."""

    contributions: tuple[Contribution, ...]
    next: int | None


def explain(
    tx: Connection,
    books: Books,
    *,
    tenant: str,
    meter: str,
    period: str,
    group: Mapping[str, str] | None = None,
    after: int = 0,
    limit: int = 100,
) -> Explanation:
    """The events behind a number: of a meter in a month, or of those of its groups with these values.

    Raises `InvalidInput` for a meter or month that there is not.
    """
    bounds(period)
    code = books.meters.find(meter).code
    versions = [version for version in books.meters.versions if version.code == code]
    table = USAGE_EVENT.c
    query = (
        select(table.seq, *facts.COLUMNS)
        .where(
            table.tenant == tenant,
            table.period == period,
            table.type.in_(sorted({version.event_type for version in versions})),
            table.seq > after,
        )
        .order_by(table.seq)
        .limit(SCAN_MAX)
    )
    found: list[Contribution] = []
    scanned = 0
    seen = after
    for row in tx.execute(query):
        if len(found) == limit:
            return Explanation(tuple(found), seen)
        scanned, seen = scanned + 1, row.seq
        contribution = _contribution(row.seq, facts.read_fact(row), versions, group or {})
        if contribution is not None:
            found.append(contribution)
    return Explanation(tuple(found), seen if scanned == SCAN_MAX else None)


def parse_group(words: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` words as what a group has. Raises `InvalidInput`."""
    group = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise InvalidInput(f"group {word[:80]!r}: write NAME=VALUE, for instance model=analyst-70b")
        group[name] = value
    return group


def _contribution(
    number: int, fact: facts.Fact, versions: Sequence[Version], group: Mapping[str, str]
) -> Contribution | None:
    for version in versions:
        if version.event_type != fact.type or not version.from_us <= fact.time_us < version.until_us:
            continue
        value = value_of(version, fact.data)
        of = group_view(group_of(version, fact.data)) if group else {}
        if value is None or any(_text(of.get(name)) != wanted for name, wanted in group.items()):
            return None
        unique = version.aggregation == "unique"
        return Contribution(
            number=number,
            id=fact.id,
            source=fact.source,
            type=fact.type,
            time=from_us(fact.time_us),
            quantity=None if unique else plain(Decimal(value)),
            member=value if unique else None,
            version=version.version,
        )
    return None


def _text(value: str | int | bool | None) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
