"""A service with an outbox under torture: adds events in its own transactions and never talks to Kafka.

Its table is the truth about what it has published: a row is there if, and only if, the event's outbox row was
committed with it. It needs no journal.
"""

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Column, Connection, Float, Integer, MetaData, Table, Text, func, insert, select

from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.errors import StoreUnavailable
from trunkline.client.outbox import OUTBOX, add
from trunkline.client.outbox.rows import status
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import new_envelope
from trunkline.testing.torture.effects import STEADY
from trunkline.testing.torture.journal import COMMITTED, Entry, Intent, Settled
from trunkline.testing.torture.publishing import TOPIC

TOGETHER: Final = 3
"""Events of one tenant in one transaction."""

PAUSE_SECONDS: Final = 0.5
SERVICE: Final = load_catalogue().topic(TOPIC).publisher

_METADATA: Final = MetaData()
_MADE: Final = Table(
    "torture_made",
    _METADATA,
    Column("tenant", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("at", Float, nullable=False),
)


class ApplicationTask(msgspec.Struct, frozen=True, kw_only=True):
    """Add events of these tenants to the outbox in `store` (a path) until `until`, in Unix seconds."""

    store: str
    tenants: tuple[str, ...]
    until: float


def apply(task: ApplicationTask, stop: threading.Event) -> None:
    """Be that service. What the store refuses for a while is tried again."""
    with closing(open_outbox(task.store)) as store:
        while not stop.is_set() and time.time() < task.until:
            for tenant in task.tenants:
                try:
                    with store.write() as tx:
                        _make(tx, tenant)
                except StoreUnavailable:
                    continue
            stop.wait(PAUSE_SECONDS)


def open_outbox(path: str) -> Store:
    """The service's store, with its tables."""
    store = open_store(f"sqlite:///{path}")
    migrate(store, OUTBOX)
    with store.write() as tx:
        _METADATA.create_all(tx)
    return store


def made(store: Store) -> Sequence[Entry]:
    """What the service has published, as a journal's entries."""
    with store.read() as tx:
        rows = tx.execute(select(_MADE).order_by(_MADE.c.tenant, _MADE.c.sequence)).all()
    entries: list[Entry] = []
    for tenant, sequence, at in rows:
        event_id = _id(tenant, sequence)
        entries.append(
            Intent(
                topic=TOPIC,
                tenant=tenant,
                source=f"/{SERVICE}",
                id=event_id,
                sequence=sequence,
                subject=STEADY,
                at=at,
            )
        )
        entries.append(Settled(id=event_id, outcome=COMMITTED, at=at))
    return entries


def waiting(store: Store) -> int:
    """Events that no relay has published yet."""
    with store.read() as tx:
        return status(tx).pending


def _make(tx: Connection, tenant: str) -> None:
    last = tx.execute(select(func.max(_MADE.c.sequence)).where(_MADE.c.tenant == tenant)).scalar() or 0
    now = time.time()
    for sequence in range(last + 1, last + 1 + TOGETHER):
        tx.execute(insert(_MADE).values(tenant=tenant, sequence=sequence, at=now))
        event = AgentTokensUsed(
            run_id=f"run-{tenant}",
            agent_id="torture",
            provider="in_house",
            model="torture",
            input_tokens=sequence,
            output_tokens=0,
        )
        envelope = new_envelope(
            event,
            tenant=TenantId(tenant),
            source=f"/{SERVICE}",
            id=_id(tenant, sequence),
            time=datetime.fromtimestamp(now, UTC),
            subject=STEADY,
        )
        add(tx, envelope)


def _id(tenant: str, sequence: int) -> str:
    return f"{tenant}-{sequence:07}"
