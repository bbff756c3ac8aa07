"""Takes the results in OpenLineage run events: GX, Soda and dbt report to this service as to any other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.quality import Dimension, QualityCheckFailed, QualityScoreChanged
from trunkline.client.outbox import Outbox
from trunkline.codec import derive_id
from trunkline.codec.openlineage.checks import Result, check_results
from trunkline.codec.openlineage.run_event import RunEvent
from trunkline.codec.openlineage.runs import root_run, run_event_id
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.quality import store
from trunkline.services.quality.facts import to_us
from trunkline.services.quality.rows import insert_new
from trunkline.services.quality.tables import QUALITY_CHECK, QUALITY_RESULT

ORIGIN: Final = "openlineage"

SCORED: Final[Collection[Dimension]] = ("completeness", "consistency", "uniqueness", "validity")
"""By results of checks; the other dimensions are scored by monitors, and would contradict them."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Of the results in a run event, how many were new and how many known already."""

    new: int
    known: int


def take(tx: Connection, tenant: str, event: RunEvent, outbox: Outbox) -> Taken:
    """Keep the results and publish them; the same run event again changes nothing. Raises `TenantEnded`."""
    require_not_ended(tx, tenant)
    results = check_results(event)
    if not results:
        return Taken(0, 0)
    store.lock(tx, [tenant])
    table = QUALITY_RESULT.c
    ids = [result.id for result in results]
    known = set(tx.execute(select(table.id).where(table.tenant == tenant, table.id.in_(ids))).scalars())
    new = [result for result in results if result.id not in known]
    scored = sorted({(one.event.asset, one.event.dimension) for one in new if one.event.dimension in SCORED})
    before = {place: percent_of(tx, tenant, *place) for place in scored}
    _keep(tx, tenant, event, new)
    emissions: list[tuple[str, Event]] = [(one.id, one.event) for one in new]
    for (asset, dimension), previous in before.items():
        percent = percent_of(tx, tenant, asset, dimension)
        if percent is not None and percent != (100 if previous is None else previous):
            changed = QualityScoreChanged(
                asset=asset, percent=percent, previous_percent=previous, dimension=dimension
            )
            # A run may end in several events, with other results each; a result is new once.
            first = min(one.id for one in new if (one.event.asset, one.event.dimension) == (asset, dimension))
            emissions.append((derive_id("quality-score", first, asset, dimension), changed))
    for id_, made in emissions:
        outbox.emit(
            tx,
            made,
            tenant=tenant,
            id=id_,
            time=event.event_time,
            correlationid=root_run(event),
            causationid=run_event_id(event),
        )
    return Taken(len(new), len(known))


def percent_of(tx: Connection, tenant: str, asset: str, dimension: Dimension) -> int | None:
    """The share of an asset's checks of a dimension whose newest result is good; None without results."""
    table = QUALITY_RESULT.c
    place = func.row_number().over(
        partition_by=table.check_id, order_by=(table.at_us.desc(), table.id.desc())
    )
    newest = (
        select(table.passed, place.label("place"))
        .where(table.tenant == tenant, table.asset == asset, table.dimension == dimension)
        .subquery()
    )
    query = select(func.count(), func.sum(newest.c.passed)).where(newest.c.place == 1)
    number, passed = tx.execute(query).one()
    return 100 * int(passed) // number if number else None


def _keep(tx: Connection, tenant: str, event: RunEvent, results: Sequence[Result]) -> None:
    insert_new(
        tx,
        QUALITY_CHECK,
        [
            {
                "tenant": tenant,
                "id": result.event.check_id,
                "asset": result.event.asset,
                "kind": result.kind,
                "params": msgspec.json.encode({"column": result.column} if result.column else {}).decode(),
                "dimension": result.event.dimension,
                "origin": ORIGIN,
                "support": 0,
                "decided": None,
                "decided_by": None,
            }
            for result in results
        ],
    )
    insert_new(tx, QUALITY_RESULT, [_row(tenant, event, result) for result in results])


def _row(tenant: str, event: RunEvent, result: Result) -> dict[str, object]:
    failed = result.event if isinstance(result.event, QualityCheckFailed) else None
    return {
        "tenant": tenant,
        "id": result.id,
        "check_id": result.event.check_id,
        "asset": result.event.asset,
        "dimension": result.event.dimension,
        "at_us": to_us(event.event_time),
        "passed": int(failed is None),
        "severity": failed.severity if failed else None,
        "rows_checked": result.event.rows_checked,
        "rows_failed": failed.rows_failed if failed else 0,
        "run_id": result.event.run_id,
        "message": failed.message if failed else None,
    }
