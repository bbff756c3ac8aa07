"""What came and what was decided on it: rows that are added once and not changed."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection, insert, select, tuple_

from trunkline.services.notification.facts import Facts
from trunkline.services.notification.rows import chunks, insert_new
from trunkline.services.notification.tables import DECISION, EVENT

Identity: TypeAlias = tuple[str, str, str]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event under one rule. `detail` is a sentence for people."""

    tenant: str
    source: str
    event_id: str
    rule: str
    rule_version: int
    outcome: str
    detail: str | None = None
    incident: str | None = None
    notification: str | None = None


def identity(facts: Facts) -> Identity:
    """What makes an event the same event."""
    return (facts.tenant, facts.source, facts.id)


def add_new(tx: Connection, events: Sequence[Facts], *, now_us: int) -> list[Facts]:
    """Add the events that are not in the history yet, and return these."""
    table = EVENT.c
    known: set[Identity] = set()
    for some in chunks({identity(facts) for facts in events}):
        query = select(table.tenant, table.source, table.id).where(
            tuple_(table.tenant, table.source, table.id).in_(some)
        )
        known.update((tenant, source, id_) for tenant, source, id_ in tx.execute(query))
    fresh: list[Facts] = []
    for facts in events:
        if identity(facts) not in known:
            known.add(identity(facts))
            fresh.append(facts)
    insert_new(
        tx,
        EVENT,
        [
            {
                "tenant": facts.tenant,
                "source": facts.source,
                "id": facts.id,
                "type": facts.type,
                "time_us": facts.time_us,
                "received_us": now_us,
                "expires_us": facts.expires_us,
                "correlation_id": facts.correlation_id,
                "summary": facts.summary,
                "data": facts.data_json,
            }
            for facts in fresh
        ],
    )
    return fresh


def add_decisions(tx: Connection, decisions: Sequence[Decision]) -> None:
    """Add decisions on events that are new."""
    if decisions:
        tx.execute(insert(DECISION), [msgspec.structs.asdict(decision) for decision in decisions])
