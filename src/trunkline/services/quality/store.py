"""Reads what courses begin with, and writes what they leave: a few statements for all tenants of a batch.

Whoever works on a tenant holds its row of `quality_tenant` until the transaction ends: the consumer, the
clock, and the API do not overlap. Tenants are locked in one order.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql import bindparam

from trunkline.services.quality.course import LATE_MAX_US, NEVER_US, Asset, Changes, Known
from trunkline.services.quality.emission import Anomaly
from trunkline.services.quality.facts import Fact
from trunkline.services.quality.options import Options
from trunkline.services.quality.rows import insert_new, row_of, upsert
from trunkline.services.quality.tables import (
    QUALITY_ANOMALY,
    QUALITY_ASSET,
    QUALITY_BREACH,
    QUALITY_EVENT,
    QUALITY_LOAD,
    QUALITY_PENDING,
    QUALITY_TENANT,
    QUALITY_WINDOW,
)
from trunkline.services.quality.windows import LATENESS_US, Window, history_max, history_us, start_of

ASSET_FIELDS: Final = tuple(Asset.__slots__)
WINDOW_FIELDS: Final = tuple(Window.__slots__)
ANOMALY_FIELDS: Final = tuple(Anomaly.__slots__)

_ASSET_COLUMNS: Final = [QUALITY_ASSET.c[name] for name in ("tenant", *ASSET_FIELDS)]
_WINDOW_COLUMNS: Final = [QUALITY_WINDOW.c[name] for name in ("tenant", *WINDOW_FIELDS)]
_ANOMALY_COLUMNS: Final = [QUALITY_ANOMALY.c[name] for name in ("tenant", *ANOMALY_FIELDS)]


def lock(tx: Connection, tenants: Collection[str]) -> dict[str, int]:
    """Lock these tenants; returns the time of the newest event of each."""
    table = QUALITY_TENANT.c
    ordered = sorted(tenants)
    insert_new(
        tx,
        QUALITY_TENANT,
        [{"tenant": tenant, "newest_us": -NEVER_US, "arrived_us": 0} for tenant in ordered],
    )
    query = select(table.tenant, table.newest_us).where(table.tenant.in_(ordered)).order_by(table.tenant)
    return dict(tx.execute(query.with_for_update()).all())


def read(
    tx: Connection,
    newest: Mapping[str, int],
    facts: Mapping[str, Sequence[Fact]],
    options: Mapping[str, Options],
) -> dict[str, Known]:
    """What the courses of these tenants begin with. The caller holds their locks."""
    known = {tenant: Known(newest_us=newest_us) for tenant, newest_us in newest.items()}
    reach = {
        tenant: max([newest_us, *(fact.at_us for fact in facts.get(tenant, ()))]) - LATENESS_US
        for tenant, newest_us in newest.items()
    }
    touched = {(tenant, asset) for tenant, of_it in facts.items() for fact in of_it for asset in fact.assets}
    _read_anomalies(tx, known)
    _read_windows(tx, known, facts, options)
    closing = dict.fromkeys(_closing(known, facts, reach, options), NEVER_US)
    _read_history(tx, known, closing | _doubtful(known, touched), options)
    _read_assets(tx, known, touched, reach, options)
    _read_loads(tx, known, facts)
    _read_breaches(tx, known, options)
    return known


def _read_anomalies(tx: Connection, known: Mapping[str, Known]) -> None:
    table = QUALITY_ANOMALY.c
    query = select(*_ANOMALY_COLUMNS).where(table.tenant.in_(known), table.resolved_us.is_(None))
    for row in tx.execute(query).mappings():
        values = {name: row[name] for name in ANOMALY_FIELDS}
        anomaly = Anomaly(**values | {"confirmed": bool(row["confirmed"])})
        known[row["tenant"]].anomalies[anomaly.asset, anomaly.metric] = anomaly


def _read_windows(
    tx: Connection,
    known: Mapping[str, Known],
    facts: Mapping[str, Sequence[Fact]],
    options: Mapping[str, Options],
) -> None:
    """The open ones, and those that facts fall into."""
    table = QUALITY_WINDOW.c
    starts = {
        start_of(fact.at_us, options[tenant].width_us) for tenant, of_it in facts.items() for fact in of_it
    }
    query = select(*_WINDOW_COLUMNS).where(
        table.tenant.in_(known), or_(table.closed == 0, table.start_us.in_(sorted(starts)))
    )
    for row in tx.execute(query).mappings():
        window = _window(row)
        known[row["tenant"]].windows[window.place] = window


def _closing(
    known: Mapping[str, Known],
    facts: Mapping[str, Sequence[Fact]],
    reach: Mapping[str, int],
    options: Mapping[str, Options],
) -> set[tuple[str, str]]:
    """The assets of which a window may close, by tenant."""
    found = {
        (tenant, window.asset)
        for tenant, of_it in known.items()
        for window in of_it.windows.values()
        if not window.closed and window.end_us <= reach[tenant]
    }
    for tenant, of_them in facts.items():
        width_us = options[tenant].width_us
        found |= {
            (tenant, asset)
            for fact in of_them
            if start_of(fact.at_us, width_us) + width_us <= reach[tenant]
            for asset in fact.assets
        }
    return found


def _doubtful(known: Mapping[str, Known], touched: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The assets whose open anomaly a late fact might refute, and where the first of theirs began.

    An anomaly of longer ago than facts may come late is refuted by none.
    """
    found: dict[tuple[str, str], int] = {}
    for tenant, of_it in known.items():
        refutable_us = of_it.newest_us - 2 * LATE_MAX_US
        for (asset, _), anomaly in of_it.anomalies.items():
            if (tenant, asset) in touched and anomaly.began_us >= refutable_us:
                began_us = found.get((tenant, asset), NEVER_US)
                found[tenant, asset] = min(began_us, anomaly.began_us)
    return found


def _read_history(
    tx: Connection,
    known: Mapping[str, Known],
    wanted: Mapping[tuple[str, str], int],
    options: Mapping[str, Options],
) -> None:
    """The closed windows that one of these assets may be compared with, oldest first; the same objects as
    among the windows.

    These are the newest, and for a window that may be judged again those before it, however many closed
    since. `wanted` says from which start on a window may be judged.
    """
    by_start: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for (tenant, asset), judged_us in wanted.items():
        known[tenant].history[asset] = []
        by_start[judged_us].add((tenant, asset))
    for judged_us, pairs in sorted(by_start.items()):
        most = max(history_max(options[tenant].width_us) for tenant, _ in pairs)
        for row in tx.execute(_history(pairs, judged_us, most)).mappings():
            of_it = known[row["tenant"]]
            window = of_it.windows.setdefault((row["asset"], row["start_us"], row["width_us"]), _window(row))
            of_it.history[window.asset].append(window)


def _history(pairs: set[tuple[str, str]], judged_us: int, most: int) -> Select[Any]:
    """Closed windows from `judged_us` on, and of each asset and width the `most` before."""
    table = QUALITY_WINDOW.c
    since = case((table.start_us >= judged_us, 1), else_=0)
    place = func.row_number().over(
        partition_by=(table.tenant, table.asset, table.width_us, since), order_by=table.start_us.desc()
    )
    ranked = (
        select(*_WINDOW_COLUMNS, since.label("since"), place.label("place"))
        .where(_of_pairs(table.tenant, table.asset, pairs), table.closed == 1)
        .subquery()
    )
    columns = [column for column in ranked.c if column.name not in ("since", "place")]
    counts = or_(ranked.c.since == 1, ranked.c.place <= most)
    return select(*columns).where(counts).order_by(ranked.c.start_us)


def _read_assets(
    tx: Connection,
    known: Mapping[str, Known],
    touched: set[tuple[str, str]],
    reach: Mapping[str, int],
    options: Mapping[str, Options],
) -> None:
    """Those that facts are about, that can become overdue, and that something is promised of."""
    table = QUALITY_ASSET.c
    promised = {(tenant, promise.asset) for tenant in known for promise in options[tenant].promises.values()}
    overdue = and_(table.tenant.in_(known), table.due_us <= max(reach.values()))
    query = select(*_ASSET_COLUMNS).where(
        or_(overdue, _of_pairs(table.tenant, table.asset, touched | promised))
    )
    for row in tx.execute(query).mappings():
        asset = Asset(**{name: row[name] for name in ASSET_FIELDS})
        known[row["tenant"]].assets[asset.asset] = asset


def _read_loads(tx: Connection, known: Mapping[str, Known], facts: Mapping[str, Sequence[Fact]]) -> None:
    table = QUALITY_LOAD.c
    written = {(tenant, asset) for tenant, of_it in facts.items() for fact in of_it for asset in fact.writes}
    if not written:
        return
    query = select(table.tenant, table.asset, table.slot).where(_of_pairs(table.tenant, table.asset, written))
    for tenant, asset, slot in tx.execute(query.order_by(table.slot)):
        known[tenant].loads.setdefault(asset, []).append(slot)


def _read_breaches(tx: Connection, known: Mapping[str, Known], options: Mapping[str, Options]) -> None:
    table = QUALITY_BREACH.c
    promising = [tenant for tenant in known if options[tenant].promises]
    if not promising:
        return
    newest = select(table.tenant, table.promise, func.max(table.due_us)).where(table.tenant.in_(promising))
    for tenant, promise, due_us in tx.execute(newest.group_by(table.tenant, table.promise)):
        known[tenant].breaches[promise] = due_us


def write(tx: Connection, tenants: Mapping[str, tuple[Known, Changes]], *, arrived_us: int | None) -> None:
    """Write what courses have changed. `arrived_us` is the machine's time when events came; None if none."""
    pairs = [(tenant, known, changes) for tenant, (known, changes) in tenants.items()]
    upsert(
        tx,
        QUALITY_ASSET,
        [
            row_of(known.assets[asset], ASSET_FIELDS, tenant=tenant)
            for tenant, known, changes in pairs
            for asset in sorted(changes.assets)
        ],
    )
    upsert(
        tx,
        QUALITY_WINDOW,
        [
            row_of(window, WINDOW_FIELDS, tenant=tenant)
            for tenant, _, changes in pairs
            for window in changes.windows.values()
        ],
    )
    upsert(
        tx,
        QUALITY_ANOMALY,
        [
            row_of(anomaly, ANOMALY_FIELDS, tenant=tenant)
            for tenant, _, changes in pairs
            for anomaly in changes.anomalies.values()
        ],
    )
    insert_new(
        tx,
        QUALITY_BREACH,
        [
            {"tenant": tenant, "promise": name, "asset": asset, "due_us": due_us}
            for tenant, _, changes in pairs
            for name, asset, due_us in changes.breaches
        ],
    )
    _write_loads(tx, pairs)
    _write_times(tx, pairs, arrived_us=arrived_us)
    # After the windows: which of them stay may not depend on where a batch ended.
    for tenant, (known, changes) in tenants.items():
        if changes.closed_at_us is not None:
            _forget(tx, tenant, known, changes.closed_at_us)


def _write_loads(tx: Connection, pairs: Iterable[tuple[str, Known, Changes]]) -> None:
    """Add the new slots, and drop those before the oldest that counts."""
    added, dropped = [], []
    for tenant, known, changes in pairs:
        added += [{"tenant": tenant, "asset": asset, "slot": slot} for asset, slot in sorted(changes.loads)]
        dropped += [
            {"of_tenant": tenant, "of_asset": asset, "oldest": known.loads[asset][0]}
            for asset in sorted({asset for asset, _ in changes.loads})
        ]
    insert_new(tx, QUALITY_LOAD, added)
    if dropped:
        table = QUALITY_LOAD.c
        tx.execute(
            delete(QUALITY_LOAD).where(
                table.tenant == bindparam("of_tenant"),
                table.asset == bindparam("of_asset"),
                table.slot < bindparam("oldest"),
            ),
            dropped,
        )


def _write_times(
    tx: Connection, pairs: Iterable[tuple[str, Known, Changes]], *, arrived_us: int | None
) -> None:
    if arrived_us is not None:
        tx.execute(
            update(QUALITY_TENANT).where(QUALITY_TENANT.c.tenant == bindparam("of_tenant")),
            [
                {"of_tenant": tenant, "newest_us": known.newest_us, "arrived_us": arrived_us}
                for tenant, known, _ in pairs
            ],
        )


def _forget(tx: Connection, tenant: str, known: Known, newest_us: int) -> None:
    """Drop what is too old to matter, once in a while: when a window has closed.

    A window matters as long as one may be judged that it is compared with: also again, by a late fact.
    """
    kept_us = max(
        history_us(width) + width for width in {window.width_us for window in known.windows.values()}
    )
    for table, column, oldest_us in (
        (QUALITY_EVENT, QUALITY_EVENT.c.at_us, newest_us - LATE_MAX_US),
        (QUALITY_PENDING, QUALITY_PENDING.c.at_us, newest_us - LATE_MAX_US),
        (QUALITY_WINDOW, QUALITY_WINDOW.c.start_us, newest_us - LATE_MAX_US - kept_us),
    ):
        tx.execute(delete(table).where(table.c.tenant == tenant, column < oldest_us))


def _of_pairs(
    tenant: ColumnElement[str], asset: ColumnElement[str], pairs: Collection[tuple[str, str]]
) -> ColumnElement[bool]:
    """Of these tenants and assets; by tenant, because SQLite does not seek for pairs."""
    by_tenant: defaultdict[str, list[str]] = defaultdict(list)
    for of_tenant, of_asset in sorted(pairs):
        by_tenant[of_tenant].append(of_asset)
    if not by_tenant:
        return tuple_(tenant, asset).in_([])
    return or_(*(and_(tenant == name, asset.in_(assets)) for name, assets in by_tenant.items()))


def _window(row: RowMapping) -> Window:
    values = {name: row[name] for name in WINDOW_FIELDS}
    return Window(**values | {"closed": bool(row["closed"])})
