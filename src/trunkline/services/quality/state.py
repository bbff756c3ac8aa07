"""One hash over what must be the same, whenever and in whatever company a tenant's events came."""

from typing import Final

from sqlalchemy import Connection, Table

from trunkline.services.kit.digest import digest_of
from trunkline.services.quality.tables import (
    QUALITY_ANOMALY,
    QUALITY_ASSET,
    QUALITY_CHECK,
    QUALITY_LOAD,
    QUALITY_RESULT,
    QUALITY_TENANT,
    QUALITY_WINDOW,
)

_LEFT_OUT: Final = {QUALITY_TENANT.c.arrived_us}
_TABLES: Final[tuple[Table, ...]] = (
    QUALITY_TENANT,
    QUALITY_ASSET,
    QUALITY_WINDOW,
    QUALITY_LOAD,
    QUALITY_CHECK,
    QUALITY_RESULT,
)


def state_digest(tx: Connection) -> str:
    """SHA-256 of windows, loads, checks, results and anomalies.

    Left out: when events arrived; breaches of promises, and anomalies that only the clock has raised, because
    another run over the same events may see them later than the load that ends them; and the memory of which
    events are counted and which queries have not ended, which is cleared at another moment in other batches.
    """
    whole = [
        (table.name, [column for column in table.columns if column not in _LEFT_OUT]) for table in _TABLES
    ]
    confirmed = QUALITY_ANOMALY.select().where(QUALITY_ANOMALY.c.confirmed == 1).subquery("confirmed")
    return digest_of(tx, [*whole, ("quality_anomaly", list(confirmed.columns))])
