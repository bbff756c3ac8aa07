"""Incidents in the store, locked while an event changes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, update

from trunkline.services.notification.decide import Verdict
from trunkline.services.notification.incidents import FIRING, Incident
from trunkline.services.notification.rows import chunks, insert_new
from trunkline.services.notification.tables import INCIDENT

COLUMNS: Final = tuple(field.name for field in fields(Incident))
FIRING_MAX: Final = 10_000
"""Open incidents that are looked at for inhibition."""

_CHANGING: Final = tuple(name for name in COLUMNS if name not in ("id", "tenant", "rule", "key"))
_UPDATE: Final = (
    update(INCIDENT)
    .where(INCIDENT.c.id == bindparam("at"))
    .values({name: bindparam(name) for name in _CHANGING})
)


def opened(tx: Connection, verdicts: Iterable[tuple[str, Verdict]], *, now_us: int) -> dict[str, Incident]:
    """The incidents that verdicts on events of these tenants are about, made where missing, and locked."""
    wanted = {verdict.incident: (tenant, verdict) for tenant, verdict in verdicts}
    insert_new(
        tx,
        INCIDENT,
        [
            _row(Incident(id=id_, tenant=tenant, rule=verdict.rule.name, key=verdict.key, changed_us=now_us))
            for id_, (tenant, verdict) in sorted(wanted.items())
        ],
    )
    return locked(tx, wanted)


def locked(tx: Connection, ids: Iterable[str]) -> dict[str, Incident]:
    """Those of the incidents that exist, locked until the transaction ends."""
    found: dict[str, Incident] = {}
    for some in chunks(set(ids)):
        query = select(INCIDENT).where(INCIDENT.c.id.in_(some)).order_by(INCIDENT.c.id).with_for_update()
        found.update({row.id: incident_of(row) for row in tx.execute(query)})
    return found


def save(tx: Connection, incidents: Sequence[Incident], *, now_us: int) -> None:
    """Write back incidents that are locked."""
    if not incidents:
        return
    rows = []
    for incident in incidents:
        incident.changed_us = now_us
        rows.append({"at": incident.id, **{name: getattr(incident, name) for name in _CHANGING}})
    tx.execute(_UPDATE, rows)


def firing(tx: Connection, rules_of: Mapping[str, set[str]]) -> dict[str, list[Incident]]:
    """Open incidents of these rules, by tenant; nothing is locked."""
    found: dict[str, list[Incident]] = {}
    table = INCIDENT.c
    rules = {rule for of_tenant in rules_of.values() for rule in of_tenant}
    for some in chunks(rules_of):
        query = select(INCIDENT).where(
            table.tenant.in_(some), table.state == FIRING, table.rule.in_(sorted(rules))
        )
        for row in tx.execute(query.limit(FIRING_MAX)):
            if row.rule in rules_of[row.tenant]:
                found.setdefault(row.tenant, []).append(incident_of(row))
    return found


def incident_of(row: Row[Any]) -> Incident:
    """A row of the table as an incident."""
    return Incident(**{name: row._mapping[name] for name in COLUMNS})


def _row(incident: Incident) -> dict[str, Any]:
    return {name: getattr(incident, name) for name in COLUMNS}
