"""What the consumers under torture do: one row for each event, in the store's own transaction."""

import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Column, Connection, Float, Integer, MetaData, Table, Text, insert, select

from trunkline.client.handler import Received, Refusal
from trunkline.client.store import Store
from trunkline.client.store.tables import CONSUMER_POSITION, FAILURE
from trunkline.codec import Record
from trunkline.testing.checker import Effect, Identity, Position
from trunkline.testing.torture.verdict import LedgerRow

STEADY: Final = "steady"
REFUSED: Final = "refused"
"""Subject of an event that no member can handle."""
CONTESTED: Final = "contested"
"""Subject of an event that members of an odd number cannot handle, as while a release is rolled out."""

_METADATA: Final = MetaData()
# Deliberately without a unique key on the event: an effect that happens twice must show.
_EFFECT: Final = Table(
    "torture_effect",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", Integer, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("member", Integer, nullable=False),
    Column("at", Float, nullable=False),
)


class EffectHandler:
    """The handler of member number `member`."""

    def __init__(self, store: Store, *, member: int) -> None:
        self._member = member
        with store.write() as tx:
            _METADATA.create_all(tx)

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        """See `Handler`."""
        for received in events:
            if self._objects_to(received.event.subject):
                raise ValueError(f"member {self._member} cannot handle a {received.event.subject} event")
        rows = [
            {
                "topic": received.record.topic,
                "partition": received.record.partition,
                "offset": received.record.offset,
                "tenant": received.event.tenantid,
                "source": received.event.source,
                "id": received.event.id,
                "member": self._member,
                "at": time.time(),
            }
            for received in events
        ]
        tx.execute(insert(_EFFECT), rows)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """See `Handler`; the ledger has it."""

    def _objects_to(self, subject: str | None) -> bool:
        return subject == REFUSED or (subject == CONTESTED and self._member % 2 == 1)


def read_effects(store: Store) -> tuple[list[Effect], list[float]]:
    """The effects in their order, and when each happened, in Unix seconds."""
    table = _EFFECT.c
    columns = (table.topic, table.partition, table.offset, table.tenant, table.source, table.id, table.at)
    with store.read() as tx:
        _METADATA.create_all(tx)
        rows = tx.execute(select(*columns).order_by(table.number)).all()
    return [Effect(Position(*row[:3]), Identity(*row[3:6])) for row in rows], [row[6] for row in rows]


def read_ledger(store: Store, group: str) -> list[LedgerRow]:
    """The group's failures, whatever has become of them."""
    table = FAILURE.c
    columns = (table.topic, table.partition, table.offset, table.reason, table.status)
    with store.read() as tx:
        rows = tx.execute(select(*columns).where(table.consumer_group == group)).all()
    return [
        LedgerRow(position=Position(*row[:3]), reason=row.reason, open=row.status == "open") for row in rows
    ]


def read_reached(store: Store, group: str) -> dict[tuple[str, int], int]:
    """How far the group has come."""
    table = CONSUMER_POSITION.c
    columns = (table.topic, table.partition, table.next_offset)
    with store.read() as tx:
        rows = tx.execute(select(*columns).where(table.consumer_group == group)).all()
    return {(topic, partition): offset for topic, partition, offset in rows}
