"""One change of the registry: its transaction, who makes it, and what it publishes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from trunkline.catalogue.events import Event
from trunkline.client.outbox.add import Outbox
from trunkline.services.app import Context
from trunkline.services.kit.ending.ends import from_us, require_not_ended, to_us
from trunkline.services.ml import rows
from trunkline.services.ml.tables import MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a change works with. `now` is the time of what happens, `actor` who does it."""

    tx: Connection
    tenant: str
    actor: str
    now: datetime
    outbox: Outbox

    def model(self, name: str) -> Row[Any]:
        """The model, which is nobody else's until the end. Raises `NotRegistered`."""
        return rows.locked_model(self.tx, self.tenant, name)

    def version(self, name: str, number: int) -> Row[Any]:
        """A version of a model that is locked. Raises `NotRegistered`."""
        return rows.version_row(self.tx, self.tenant, name, number)

    def tell(self, model: str, event: Event) -> None:
        """Publish what happened to a model, together with the change.

        Its time is later than that of the model's event before, also when the clock was set back or has not
        moved: whoever puts the events in order by their times gets the order in which they happened.
        """
        table = MODEL.c
        mine = (table.tenant == self.tenant, table.model == model)
        last_us = self.tx.execute(MODEL.select().where(*mine)).one().last_us
        time_us = max(to_us(self.now), last_us + 1)
        self.tx.execute(update(MODEL).where(*mine).values(last_us=time_us))
        self.outbox.emit(self.tx, event, tenant=self.tenant, time=from_us(time_us), subject=model)


@contextmanager
def changing(context: Context, tenant: str, *, actor: str) -> Iterator[Work]:
    """A transaction in which the registry is changed; its events go out when it has committed.

    Raises `TenantEnded`, what the change raises, and what the store raises; nothing was changed then.
    """
    assert context.outbox is not None
    with context.store.write() as tx:
        require_not_ended(tx, tenant)
        yield Work(tx=tx, tenant=tenant, actor=actor, now=context.wall(), outbox=context.outbox)
    context.wake()
