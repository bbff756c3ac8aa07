"""What is left of a tenant's configuration when the tenant has ended: that there was some."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, select

from trunkline.client.broadcast.entries import change_of
from trunkline.client.broadcast.writing import event_of, tenant_of
from trunkline.client.outbox import Outbox
from trunkline.codec import derive_id, new_envelope
from trunkline.services.config import book, plans
from trunkline.services.config.tables import CONFIG_CHANGE, CONFIG_ENTRY, CONFIG_PART

REASON: Final = "the tenant has ended"


class ConfigEraser:
    """A `services.app.Eraser`. Publishes that everything on the tenant's level is unset.

    Names and versions stay, without values: an older event of the tenant that an instance reads later must
    find something newer.
    """

    def __init__(self, outbox: Outbox, *, wall: Callable[[], datetime]) -> None:
        self._outbox = outbox
        self._wall = wall

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        book.lock(tx)
        table = CONFIG_ENTRY.c
        mine = select(CONFIG_ENTRY).where(table.level == "tenant", table.scope == tenant)
        entries = [book.entry_of(row) for row in tx.execute(mine).mappings()]
        in_force = [(name, entry) for name, entry in entries if entry.in_force]
        now = self._wall()
        for name, entry in in_force:
            event = event_of(
                name,
                msgspec.UNSET,
                version=entry.version + 1,
                actor=self._outbox.service,
                reason=REASON,
            )
            envelope = new_envelope(
                event,
                tenant=tenant_of(name),
                source=self._outbox.source,
                id=derive_id(
                    self._outbox.source,
                    "erased",
                    *book.scope_columns(name).values(),
                    str(entry.version + 1),
                ),
                time=now,
            )
            self._outbox.add(tx, envelope)
            book.merge(tx, [(change_of(envelope), now, self._outbox.service)])
        changed = CONFIG_CHANGE.c
        history = delete(CONFIG_CHANGE).where(changed.level == "tenant", changed.scope == tenant)
        return {
            CONFIG_ENTRY.name: len(in_force),
            CONFIG_CHANGE.name: tx.execute(history).rowcount,
            "config_plan": plans.forget(tx, tenant),
            CONFIG_PART.name: tx.execute(delete(CONFIG_PART).where(CONFIG_PART.c.tenant == tenant)).rowcount,
        }
