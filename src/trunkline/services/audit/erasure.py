"""What the end of a tenant does to its ledger: the entries stay, and nothing that they said can be read.

Body, summary and salt go, envelope and commitment stay, so every leaf, tile, root and checkpoint is what it
was. The raw records that are kept under `system` because they were no events go the same way, by their key.
An `audit.erased` entry in both ledgers says so; without it, `verify` takes missing content for tampering.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

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
        ledgers = (tenant, SYSTEM_TENANT)
        if sum(self._unindex(tx, ledger_of, tenant) for ledger_of in ledgers):
            compact(tx)
        cleared = 0
        for ledger_of in ledgers:
            readable = update(AUDIT_EVENT).where(_readable(ledger_of, tenant))
            cleared += tx.execute(readable.values(**NO_CONTENT)).rowcount
        for ledger_of in ledgers:
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

    def _unindex(self, tx: Connection, ledger_of: str, tenant: str) -> int:
        """The words first: to take them out of the index, SQLite wants to be told them. How many entries."""
        last, entries = -1, 0
        query = select(_T.row_id, *_COLUMNS).where(_readable(ledger_of, tenant)).order_by(_T.seq)
        while rows := tx.execute(query.where(_T.seq > last).limit(PAGE_ROWS)).all():
            unindex(tx, [(row[0], Entry(*row[1:])) for row in rows])
            last, entries = rows[-1].seq, entries + len(rows)
        return entries


def _readable(ledger_of: str, tenant: str) -> ColumnElement[bool]:
    """The entries of a ledger that still say something about the tenant.

    In the tenant's own that is all of them. In that of the platform it is what came under the tenant's key,
    but not the entry that tells of an erasure before.
    """
    readable = and_(_T.tenant == ledger_of, func.length(_T.salt) > 0)
    if ledger_of == tenant:
        return readable
    return and_(readable, _T.key == tenant.encode(), _T.type != ERASED)
