"""What the end of a tenant does to its ledger: the entries stay, and nothing that they said can be read.

Body, summary and salt go, envelope and commitment stay, so every leaf, tile, root and checkpoint is what it
was. The raw records that are kept under `system` because they were no events go the same way, by their key.
An `audit.erased` entry in both ledgers says so; without it, `verify` takes missing content for tampering.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.codec.identity import derive_id
from trunkline.services.audit.entry import ERASED, NO_CONTENT, Entry
from trunkline.services.audit.handler import unix_us
from trunkline.services.audit.holds import hold_of
from trunkline.services.audit.own import SOURCE, record_own
from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.audit.text_index import compact, unindex
from trunkline.services.kit.ending import Held

PAGE_ROWS: Final = 1_000

_T: Final = AUDIT_EVENT.c
_COLUMNS: Final = tuple(_T[name] for name in Entry.__struct_fields__)


class LedgerEraser:
    """The audit service's `services.app.Eraser`."""

    def __init__(
        self, *, now_us: Callable[[], int] = unix_us, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._now_us = now_us
        self._random_bytes = random_bytes

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """See `Eraser`. Raises `Held` under a legal hold, and as `ledger.append` does."""
        if (hold := hold_of(tx, tenant)) is not None:
            raise Held(f"a legal hold, placed by {hold.placed_by}: {hold.reason}")
        self._unindex(tx, tenant)
        cleared = tx.execute(update(AUDIT_EVENT).where(_readable(tenant)).values(**NO_CONTENT)).rowcount
        for ledger_of in (tenant, SYSTEM_TENANT):
            record_own(
                tx,
                ERASED,
                ledger_of=ledger_of,
                tenant=tenant,
                id=derive_id(SOURCE, ERASED, tenant),
                actor_id=None,
                body={"tenant": tenant, "entries": cleared},
                now_us=self._now_us(),
                random_bytes=self._random_bytes,
            )
        return {AUDIT_EVENT.name: cleared}

    def _unindex(self, tx: Connection, tenant: str) -> None:
        """The words first: to take them out of the index, SQLite wants to be told them."""
        last = -1
        query = select(_T.row_id, *_COLUMNS).where(_readable(tenant)).order_by(_T.row_id).limit(PAGE_ROWS)
        while rows := tx.execute(query.where(_T.row_id > last)).all():
            unindex(tx, [(row[0], Entry(*row[1:])) for row in rows])
            last = rows[-1].row_id
        if last >= 0:
            compact(tx)


def _readable(tenant: str) -> ColumnElement[bool]:
    """The entries that still say something about the tenant."""
    own = _T.tenant == tenant
    raw = and_(_T.tenant == SYSTEM_TENANT, _T.key == tenant.encode(), _T.type != ERASED)
    return and_(or_(own, raw), func.length(_T.salt) > 0)
