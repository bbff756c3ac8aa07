"""What enforcers say of themselves: which revision of which tenant they have."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.services.governance.moments import to_us
from trunkline.services.governance.tables import ENFORCER
from trunkline.services.kit.ending import ended_among

FORGOTTEN_AFTER: Final = timedelta(days=1)
"""An instance that says nothing for so long is gone."""

_VALUES: Final = ("service", "revision", "digest", "problem", "seen_us")


class Report(NamedTuple):
    """What an enforcer has of a tenant."""

    tenant: str
    revision: int
    digest: str
    problem: str | None


def note(tx: Connection, reports: Iterable[Report], *, instance: str, service: str, now: datetime) -> int:
    """Note what an instance reports, in place of what it said before; returns of how many tenants.

    What it says of tenants that have ended is left out.
    """
    known = list(reports)
    gone = ended_among(tx, sorted({report.tenant for report in known}))
    rows = [
        {
            "instance": instance,
            "tenant": report.tenant,
            "service": service,
            "revision": report.revision,
            "digest": report.digest,
            "problem": report.problem,
            "seen_us": to_us(now),
        }
        for report in known
        if report.tenant not in gone
    ]
    old = ENFORCER.c.seen_us < to_us(now - FORGOTTEN_AFTER)
    tx.execute(delete(ENFORCER).where(old | (ENFORCER.c.instance == instance)))
    if not rows:
        return 0
    new = postgresql.insert(ENFORCER) if tx.dialect.name == "postgresql" else sqlite.insert(ENFORCER)
    key = [ENFORCER.c.instance, ENFORCER.c.tenant]
    values = {name: new.excluded[name] for name in _VALUES}
    tx.execute(new.on_conflict_do_update(index_elements=key, set_=values), rows)
    return len(rows)
