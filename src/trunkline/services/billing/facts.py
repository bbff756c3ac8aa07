"""What is kept of an event that is metered: who, when, and the fields that can be counted or told apart by.

Texts are left out, and who is behind it stands as a keyed hash (`subjects`), so that a fact can be counted
again under another meter and yet names nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, select

from trunkline.client.handler import Received
from trunkline.services.billing.months import period_of, to_us
from trunkline.services.billing.sql import values_rows
from trunkline.services.billing.tables import USAGE_EVENT
from trunkline.services.settings.billing import SUBJECTS, kept_fields

HASH_BYTES: Final = 16

Data: TypeAlias = Mapping[str, Any]

_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event that is metered. `data` has the fields that were kept; none of them is None."""

    tenant: str
    period: str
    type: str
    source: str
    id: str
    time_us: int
    arrived_us: int
    data: Data

    @property
    def identity(self) -> tuple[str, str, str]:
        return (self.tenant, self.source, self.id)


def fact_of(received: Received, *, arrived_us: int, key: bytes) -> Fact:
    """The fact in an event of a type that can be metered; `key` is that of the tenant's subjects."""
    event = received.event
    names, read = _reader(event.type)
    data = {name: value for name, value in zip(names, read(event.data), strict=True) if value is not None}
    for name in _subjects(event.type):
        if name in data:
            data[name] = blake2b(data[name].encode(), digest_size=HASH_BYTES, key=key).hexdigest()
    return Fact(
        tenant=event.tenantid,
        period=period_of(event.time),
        type=event.type,
        source=event.source,
        id=event.id,
        time_us=to_us(event.time),
        arrived_us=arrived_us,
        data=data,
    )


def add(tx: Connection, facts: Sequence[Fact]) -> list[Fact]:
    """Keep facts; returns those that were not there, in order."""
    rows = (
        (
            fact.tenant,
            fact.period,
            fact.type,
            fact.source,
            fact.id,
            fact.time_us,
            fact.arrived_us,
            text_of(fact),
        )
        for fact in facts
    )
    head = "INSERT INTO usage_event (tenant, period, type, source, id, time_us, arrived_us, data) VALUES "
    tail = " ON CONFLICT DO NOTHING RETURNING tenant, source, id"
    new = {tuple(row) for row in values_rows(tx, head, tail, rows)}
    return list(facts) if len(new) == len(facts) else _first_of_each(facts, new)


def text_of(fact: Fact) -> str:
    """The fields as JSON."""
    return _encode(fact.data).decode()


def read_fact(row: Row[Any]) -> Fact:
    """A fact from a row that has `COLUMNS`."""
    found = row._mapping
    kept = {name: found[name] for name in Fact.__struct_fields__}
    return Fact(**{**kept, "data": _decode.decode(row.data)})


COLUMNS: Final = tuple(USAGE_EVENT.c[name] for name in Fact.__struct_fields__)
"""The columns that make a fact."""


def of_period(tx: Connection, *, tenant: str, period: str, types: Sequence[str]) -> Iterator[Fact]:
    """The facts of a tenant's month and these types of event, in the order in which they arrived."""
    table = USAGE_EVENT.c
    query = (
        select(*COLUMNS)
        .where(table.tenant == tenant, table.period == period, table.type.in_(types))
        .order_by(table.seq)
    )
    return (read_fact(row) for row in tx.execute(query.execution_options(yield_per=1_000)))


def _first_of_each(facts: Sequence[Fact], new: set[tuple[Any, ...]]) -> list[Fact]:
    fresh = []
    for fact in facts:
        if fact.identity in new:
            new.discard(fact.identity)
            fresh.append(fact)
    return fresh


@cache
def _reader(event_type: str) -> "tuple[tuple[str, ...], attrgetter[tuple[Any, ...]]]":
    names = kept_fields(event_type)
    return names, attrgetter(*names)


@cache
def _subjects(event_type: str) -> tuple[str, ...]:
    return tuple(name for name in kept_fields(event_type) if name in SUBJECTS)
