"""What the state comes to that events alone decide.

The digest covers the facts, the numbers, what a tenant's life says of its plan, the quarantine, and which
levels of the limits now in force have been told of. It is the same after any order across topics, any
repetition and a replay.

It leaves out what is history rather than state. A level that was told of under a limit which no longer
holds is one: had the tenant's new tier been read first, nobody would have heard of that level. So a level
counts here only if it is reached under the limit now in force; and each of these has been told of, whatever
was read first, because every change of a plan compares all open months anew. Closings, and corrections, which
follow from them, are acts of operators and clocks. Tenants that were ended count with their names alone: how
much of their usage was read before their end is chance.
"""

from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, select

from trunkline.services.billing.metering import WHOLE
from trunkline.services.billing.tables import (
    ERASED_TENANT,
    QUARANTINE,
    TENANT_CHANGE,
    THRESHOLD_STATE,
    USAGE_AGG,
    USAGE_EVENT,
)
from trunkline.services.billing.thresholds import Limit
from trunkline.services.kit.digest import digest_of

_COLUMNS: Final = (
    (USAGE_EVENT, ("tenant", "source", "id", "type", "time_us")),
    (USAGE_AGG, ("tenant", "period", "meter", "grouping", "value", "events", "newest_us", "latest")),
    (TENANT_CHANGE, ("tenant", "source", "id", "at_us", "kind", "tier")),
    (QUARANTINE, ("tenant", "source", "id", "type", "time_us", "reason")),
)


def state_digest(tx: Connection) -> str:
    """SHA-256 of the state, as 64 hexadecimal digits."""
    tables = [(table.name, _of_the_living(table, names)) for table, names in _COLUMNS]
    rows = digest_of(tx, [*tables, (ERASED_TENANT.name, [ERASED_TENANT.c.tenant])])
    return sha256(rows.encode() + msgspec.json.encode(_levels(tx))).hexdigest()


def _of_the_living(table: Table, names: tuple[str, ...]) -> tuple[ColumnElement[Any], ...]:
    columns = (table.c[name] for name in names)
    return tuple(select(*columns).where(table.c.tenant.not_in(select(ERASED_TENANT.c.tenant))).subquery().c)


def _levels(tx: Connection) -> list[tuple[str, str, str, int]]:
    used, told = USAGE_AGG.c, THRESHOLD_STATE.c
    query = (
        select(told.tenant, told.period, told.meter, told.level, used.value, used.quota)
        .join(
            USAGE_AGG,
            (used.tenant == told.tenant)
            & (used.period == told.period)
            & (used.meter == told.meter)
            & (used.grouping == WHOLE),
        )
        .where(used.quota.is_not(None), told.tenant.not_in(select(ERASED_TENANT.c.tenant)))
    )
    return sorted(
        (tenant, period, meter, level)
        for tenant, period, meter, level, value, quota in tx.execute(query)
        if level in Limit(quota, (level,) if level else ()).reached(value)
    )
