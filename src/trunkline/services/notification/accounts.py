"""Which tenants are suspended: nothing of theirs is sent, but what is about the account itself."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, or_, select, update

from trunkline.services.notification.facts import Facts
from trunkline.services.notification.rows import dialect_insert
from trunkline.services.notification.tables import DELIVERY, NOTIFICATION, TENANT

SUSPENDS: Final = frozenset({"tenant.suspended.v1"})
RESUMES: Final = frozenset({"tenant.reactivated.v1", "tenant.activated.v1"})


def apply(tx: Connection, events: Sequence[Facts], *, spared: Collection[str], now_us: int) -> None:
    """Take over what the events say; what is pending of a tenant that is now suspended is suppressed.

    `spared` are the rules whose notifications are sent all the same. The latest event counts, in whatever
    order they come; of one moment the greater id.
    """
    latest: dict[str, Facts] = {}
    for facts in events:
        if facts.type in SUSPENDS or facts.type in RESUMES:
            last = latest.get(facts.tenant)
            if last is None or (facts.time_us, facts.id) > (last.time_us, last.id):
                latest[facts.tenant] = facts
    if not latest:
        return
    given = dialect_insert(tx, TENANT)
    new = given.excluded
    later = or_(
        new.time_us > TENANT.c.time_us, (new.time_us == TENANT.c.time_us) & (new.event_id > TENANT.c.event_id)
    )
    statement = given.on_conflict_do_update(
        index_elements=[TENANT.c.tenant],
        set_={"suspended": new.suspended, "time_us": new.time_us, "event_id": new.event_id},
        where=later,
    )
    tx.execute(
        statement,
        [
            {
                "tenant": tenant,
                "suspended": int(facts.type in SUSPENDS),
                "time_us": facts.time_us,
                "event_id": facts.id,
            }
            for tenant, facts in sorted(latest.items())
        ],
    )
    _suppress_pending(tx, suspended(tx, latest), spared=spared, now_us=now_us)


def suspended(tx: Connection, tenants: Iterable[str]) -> set[str]:
    """Those of the tenants that are suspended."""
    table = TENANT.c
    query = select(table.tenant).where(table.tenant.in_(list(tenants)), table.suspended == 1)
    return set(tx.scalars(query))


def _suppress_pending(
    tx: Connection, tenants: Collection[str], *, spared: Collection[str], now_us: int
) -> None:
    if not tenants:
        return
    excepted = select(NOTIFICATION.c.id).where(
        NOTIFICATION.c.tenant.in_(tenants), NOTIFICATION.c.rule.in_(spared)
    )
    table = DELIVERY.c
    tx.execute(
        update(DELIVERY)
        .where(table.tenant.in_(tenants), table.state == "pending", table.notification.not_in(excepted))
        .values(state="suppressed", reason="suspended", due_us=None, changed_us=now_us)
    )
