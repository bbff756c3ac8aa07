"""One hash over what the service knows."""

from sqlalchemy import Connection

from trunkline.services.ai.tables import RUN, STEP
from trunkline.services.kit.digest import digest_of

_TIMES = frozenset({"started_us", "ended_us", "at_us"})


def state_digest(tx: Connection) -> str:
    """Equal for equal runs with equal steps, whenever they were recorded."""
    return digest_of(
        tx,
        [(table.name, [column for column in table.c if column.name not in _TIMES]) for table in (RUN, STEP)],
    )
