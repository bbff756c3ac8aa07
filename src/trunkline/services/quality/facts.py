"""What one query event says about assets. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import QueryCompleted, QueryFailed
from trunkline.codec import Envelope

TABLES_MAX: Final = 100
"""Of one query; the others do not count. A statement with more is generated, and would only cost."""

OWN_ORIGIN: Final = "dq"
"""Queries that check data: to learn from them would be to watch the watching."""

LOG_SCALE: Final = 1_000_000
"""Logarithms are summed as integers of this precision: a sum of floats depends on its order."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A query that ended, as far as assets are concerned. `id` is the event's."""

    id: str
    at_us: int
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    duration_us: int | None = None
    rows_written: int | None = None
    columns_hash: str | None = None

    @property
    def assets(self) -> tuple[str, ...]:
        """All that it is about, each once, in a fixed order."""
        return tuple(sorted({*self.reads, *self.writes, *self.failed}))


def to_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + at_us * _MICROSECOND


def fact_of(envelope: Envelope[Event]) -> Fact | None:
    """The fact in an event; None when it says nothing about an asset.

    A query that was denied or cancelled says something about people. What was written into several tables at
    once counts as a load of each, with rows and columns unknown.
    """
    event = envelope.data
    at_us = to_us(envelope.time)
    if isinstance(event, QueryFailed) and event.origin != OWN_ORIGIN and event.tables:
        return Fact(id=envelope.id, at_us=at_us, failed=_assets(event.tables))
    if not isinstance(event, QueryCompleted) or event.origin == OWN_ORIGIN:
        return None
    reads, writes = _assets(event.tables), _assets(event.tables_written)
    if not reads and not writes:
        return None
    alone = len(writes) == 1
    return Fact(
        id=envelope.id,
        at_us=at_us,
        reads=reads,
        writes=writes,
        duration_us=None if event.cache_hit else event.duration_us,
        rows_written=event.rows_written if alone else None,
        columns_hash=event.columns_hash if alone else None,
    )


def _assets(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({asset_urn(name) for name in names})[:TABLES_MAX])
