"""Data quality: months of loads and queries, with what goes wrong with them, told out of order and late."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from trunkline.catalogue.assets import columns_hash
from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import QueryCompleted, QueryFailed, QuerySubmitted
from trunkline.catalogue.names import TenantId
from trunkline.codec import Envelope, new_envelope
from trunkline.services.quality.state import state_digest
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.streams import START, TENANTS

DAYS: Final = 22
LOADED: Final = "urn:table:main.orders"
READ: Final = ("urn:table:main.orders", "urn:table:main.customers")
SQL: Final = (
    "SELECT o.id FROM orders o JOIN customers c ON o.customer_id = c.customer_id WHERE o.id IS NOT NULL"
)
_FINGERPRINT: Final = "0" * 64


def quality_events(seed: int) -> Sequence[Envelope[Event]]:
    """What query engines report of a month, each tenant's events in the order in which they are published."""
    rng = random.Random(seed)  # noqa: S311 - the same stream for the same seed
    lanes = [list(_of_tenant(tenant, rng)) for tenant in TENANTS]
    return sorted(
        (event for lane in lanes for event in lane), key=lambda event: (event.time.date(), event.tenantid)
    )


def _of_tenant(tenant: TenantId, rng: random.Random) -> Iterator[Envelope[Event]]:
    begin = START - timedelta(days=DAYS - 1)
    number = 0

    def told(day: float, event: Event) -> Envelope[Event]:
        nonlocal number
        number += 1
        time = begin + timedelta(days=day)
        return new_envelope(event, tenant=tenant, source="/query-engine", id=f"{tenant}-{number}", time=time)

    for day in range(DAYS):
        late = rng.random() < 0.1
        if not (day in (16, 17) and tenant != "acme"):
            rows = 400 if day == 18 else rng.randrange(950, 1_050)
            load = told(day + (0.3 if late else 0.0), _loaded(f"load-{day}", rows, renamed=day >= 20))
        else:
            load = None
        if load is not None and not late:
            yield load
        for query in range(3):
            query_id = f"{day}-{query}"
            yield told(day + 0.1 + query / 50, _submitted(query_id))
            failed = rng.random() < (0.9 if day == 21 else 0.02)
            yield told(day + 0.11 + query / 50, _failed(query_id) if failed else _completed(query_id, rng))
        if load is not None and late:
            yield load
            yield told(day - 1.5, _completed(f"{day}-straggler", rng))


def _loaded(query_id: str, rows: int, *, renamed: bool) -> QueryCompleted:
    return QueryCompleted(
        query_id=query_id,
        user_id="loader",
        engine="duckdb",
        sql_fingerprint=_FINGERPRINT,
        duration_us=9_000,
        rows_returned=0,
        tables_written=(LOADED,),
        rows_written=rows,
        columns_hash=columns_hash(["id", "amount_eur" if renamed else "amount"]),
    )


def _submitted(query_id: str) -> QuerySubmitted:
    return QuerySubmitted(
        query_id=query_id, user_id="u-1", engine="duckdb", sql_fingerprint=_FINGERPRINT, sql=SQL
    )


def _completed(query_id: str, rng: random.Random) -> QueryCompleted:
    return QueryCompleted(
        query_id=query_id,
        user_id="u-1",
        engine="duckdb",
        sql_fingerprint=_FINGERPRINT,
        duration_us=rng.randrange(800, 1_200),
        rows_returned=7,
        tables=READ,
    )


def _failed(query_id: str) -> QueryFailed:
    return QueryFailed(
        query_id=query_id, user_id="u-1", engine="duckdb", error_code="timeout", message="slow", tables=READ
    )


CASE: Final = Case(
    service="data-quality-service",
    digest=state_digest,
    events=quality_events,
    settings={
        "quality.promises.orders": {"asset": LOADED, "max_age_minutes": 2_000},
        "quality.monitors.customers": {"asset": READ[1], "metrics": ["latency"], "enabled": False},
    },
)
