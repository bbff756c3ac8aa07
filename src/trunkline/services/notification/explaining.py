"""Why somebody heard of an event, or did not."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from trunkline.errors import InvalidInput, NotFound
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.decide import why_not
from trunkline.services.notification.facts import Facts, from_us
from trunkline.services.notification.meanings import OUTCOMES
from trunkline.services.notification.queries import notification
from trunkline.services.notification.tables import DECISION, EVENT
from trunkline.services.notification.views import DecisionView, Explanation

_E = EVENT.c


def explain(
    tx: Connection, configuration: Configuration, event_id: str, *, tenant: str, source: str | None = None
) -> Explanation:
    """Why somebody heard of an event, or did not. Raises `NotFound` for one that never came."""
    query = select(EVENT).where(_E.tenant == tenant, _E.id == event_id)
    if source is not None:
        query = query.where(_E.source == source)
    rows = tx.execute(query.limit(2)).all()
    if not rows:
        raise NotFound(
            f"event {event_id}: none of {tenant} with this id has come; was it published, and is the service "
            "current? `trunkline lag` and `trunkline failures` tell"
        )
    if len(rows) > 1:
        raise InvalidInput(f"event {event_id}: several sources use this id; say which with --source")
    row = rows[0]
    decisions = _decisions(tx, row)
    facts = facts_of_row(row)
    rules = configuration.rules(tenant).by_name
    decided = {decision.rule for decision in decisions}
    reasons = {name: why_not(rule, facts) for name, rule in rules.items() if name not in decided}
    return Explanation(
        event=row.id,
        source=row.source,
        type=row.type,
        time=from_us(row.time_us),
        received_at=from_us(row.received_us),
        summary=row.summary,
        decisions=decisions,
        not_concerned={
            name: reason or "it would be today, but was not when the event came"
            for name, reason in sorted(reasons.items())
        },
    )


def facts_of_row(row: Row[Any]) -> Facts:
    """The facts of an event that is in the history."""
    of = row._mapping
    return Facts(
        tenant=of["tenant"],
        source=of["source"],
        id=of["id"],
        type=of["type"],
        time_us=of["time_us"],
        expires_us=of["expires_us"],
        correlation_id=of["correlation_id"],
        data=msgspec.json.decode(of["data"]),
        summary=of["summary"],
    )


def _decisions(tx: Connection, event: Row[Any]) -> list[DecisionView]:
    at = DECISION.c
    query = select(DECISION).where(
        at.tenant == event.tenant, at.source == event.source, at.event_id == event.id
    )
    return [
        DecisionView(
            rule=row.rule,
            rule_version=row.rule_version,
            outcome=row.outcome,
            why=row.detail or OUTCOMES[row.outcome],
            incident=row.incident,
            notification=None
            if row.notification is None
            else notification(tx, event.tenant, row.notification),
        )
        for row in tx.execute(query.order_by(at.rule))
    ]
