"""A governance service without a broker: events go in as batches, what it publishes is in its outbox."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.events.quality import QualityCheckFailed, QualityCheckPassed, Severity
from trunkline.catalogue.names import EventType
from trunkline.client.handler import Received
from trunkline.client.outbox import Outbox
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.codec import Record, new_envelope
from trunkline.services.app import Context
from trunkline.services.governance.handler import GovernanceHandler
from trunkline.services.governance.holds import Held, hold
from trunkline.services.governance.orders import Activated, Draft, Order, publish, revoke
from trunkline.services.governance.quarantines import Wanted
from trunkline.services.governance.rulebook import Rulebook
from trunkline.services.governance.state import state_digest

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
ORDERS = "urn:table:main.orders"
TENANT = "acme"


class Governance:
    """The service, by its functions. `now` is its clock, which a test sets."""

    def __init__(self, context: Context) -> None:
        assert context.outbox is not None
        self.context = context
        self.store = context.store
        self.outbox: Outbox = context.outbox
        self.rulebook = Rulebook(context.settings)
        self.handler = GovernanceHandler(self.outbox, self.rulebook)
        self.now = START
        self._events = 0

    def order(self, tenant: str = TENANT, *, reason: str | None = None) -> Order:
        return Order(tenant=tenant, actor_id="u-1", now=self.now, reason=reason)

    def publish(self, *drafts: Draft, tenant: str = TENANT) -> Activated:
        with self.store.write() as tx:
            return publish(tx, self.outbox, drafts, self.order(tenant))

    def revoke(self, policy_id: str) -> Activated:
        with self.store.write() as tx:
            return revoke(tx, self.outbox, policy_id, self.order())

    def hold(self, asset: str, wanted: Wanted, *, hours: int = 1, tenant: str = TENANT) -> Held:
        with self.store.write() as tx:
            return hold(
                tx,
                self.outbox,
                asset,
                wanted,
                self.order(tenant, reason="by hand"),
                until=self.now + timedelta(hours=hours),
                exempt_roles=(),
            )

    def report(self, *events: Event, tenant: str = TENANT, at: datetime | None = None) -> None:
        """The events in one batch, a second apart, unless all at one time."""
        received = []
        for event in events:
            self._events += 1
            time = at or START + timedelta(seconds=self._events)
            received.append(self.received(event, tenant=tenant, number=self._events, time=time))
        self.apply(received)

    def received(self, event: Event, *, number: int, time: datetime, tenant: str = TENANT) -> Received:
        envelope = new_envelope(
            event,
            tenant=tenant,  # type: ignore[arg-type]
            source="/data-quality-service",
            id=f"event-{number}",
            time=time,
            correlationid="chain",
        )
        return Received(Record("data.quality.events", 0, number, 0, b"", b"", ()), envelope)

    def apply(self, received: Sequence[Received]) -> None:
        with self.store.write() as tx:
            self.handler.handle(tx, received)

    def read(self, query: Callable[[Connection], Any]) -> Any:
        with self.store.read() as tx:
            return query(tx)

    def digest(self) -> str:
        return str(self.read(state_digest))

    def published(self, *types: str, tenant: str | None = None) -> list[Any]:
        """The data of what is in the outbox, in order; of these types and this tenant, or of all."""
        table = OUTBOX_EVENT.c
        query = select(table.type, table.payload).order_by(table.position)
        if tenant is not None:
            query = query.where(table.aggregateid == tenant)
        with self.store.read() as tx:
            rows = tx.execute(query).all()
        return [
            msgspec.json.decode(payload, type=EVENT_TYPES[EventType(name)].cls)
            for name, payload in rows
            if not types or name in types
        ]

    def envelopes(self) -> list[tuple[str, str, str, Mapping[str, str]]]:
        """Type, id, tenant and headers of what is in the outbox, in order."""
        table = OUTBOX_EVENT.c
        columns = (table.type, table.id, table.aggregateid, table.headers)
        with self.store.read() as tx:
            rows = tx.execute(select(*columns).order_by(table.position)).all()
        return [(name, id_, tenant, msgspec.json.decode(headers)) for name, id_, tenant, headers in rows]


def failed(
    check_id: str = "chk-1", asset: str = ORDERS, *, severity: Severity = "error", message: str | None = None
) -> QualityCheckFailed:
    return QualityCheckFailed(
        check_id=check_id, asset=asset, dimension="completeness", severity=severity, message=message
    )


def passed(check_id: str = "chk-1", asset: str = ORDERS) -> QualityCheckPassed:
    return QualityCheckPassed(check_id=check_id, asset=asset, dimension="completeness")


def draft(policy_id: str = "p-eu", body: str = "region = 'EU'", **fields: Any) -> Draft:
    return Draft(**{"policy_id": policy_id, "kind": "row_filter", "scope": ORDERS, "body": body, **fields})
