"""What must be the same after any order across topics, any repetition, and a replay from nothing."""

from typing import Final

from sqlalchemy import Connection

from trunkline.services.governance.tables import (
    BUNDLE,
    CHECK,
    DECISION,
    HEAD,
    MEMBER,
    OVERRIDE,
    POLICY,
    QUARANTINE,
    TAG,
)
from trunkline.services.kit.digest import digest_of

ARRIVAL: Final = frozenset({"snapshot_us"})
"""Columns that tell when this instance did something."""

STATE: Final = (POLICY, MEMBER, BUNDLE, HEAD, CHECK, QUARANTINE, DECISION, OVERRIDE, TAG)


def state_digest(tx: Connection) -> str:
    """SHA-256 of all that follows from events and orders. Enforcers' reports and the pulse do not."""
    return digest_of(
        tx,
        ((table.name, [column for column in table.c if column.name not in ARRIVAL]) for table in STATE),
    )
