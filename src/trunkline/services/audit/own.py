"""Entries that the service makes of what it does itself, in the same trees as everything else."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from trunkline.services.audit import ledger
from trunkline.services.audit.entry import SALT_BYTES, Entry, entry_commitment

SOURCE: Final = "/services/audit"
"""The source of entries that the service makes itself."""

NOWHERE: Final = -1
"""The partition and offset of an entry that is of no record."""


def sealed(entry: Entry, random_bytes: Callable[[int], bytes]) -> Entry:
    """The entry with a fresh salt and its commitment."""
    salted = msgspec.structs.replace(entry, salt=random_bytes(SALT_BYTES))
    return msgspec.structs.replace(salted, commitment=entry_commitment(salted))


def record_own(
    tx: Connection,
    type_: str,
    *,
    ledger_of: str,
    tenant: str,
    id: str,  # noqa: A002 - the attribute's name
    actor_id: str | None,
    body: dict[str, Any],
    now_us: int,
    random_bytes: Callable[[int], bytes],
) -> None:
    """Add an entry about a tenant to the ledger of `ledger_of`, unless one with this id is there.

    Raises as `ledger.append` does.
    """
    draft = Entry(
        tenant=ledger_of,
        seq=ledger.UNPLACED,
        source=SOURCE,
        id=id,
        type=type_,
        time_us=now_us,
        ingested_us=now_us,
        topic="",
        partition=NOWHERE,
        offset=NOWHERE,
        timestamp_ms=now_us // 1000,
        correlation_id=None,
        causation_id=None,
        note=None,
        key=tenant.encode(),
        headers=b"",
        actor_type="system" if actor_id is None else "user",
        actor_id=actor_id,
        action=type_,
        resource_type="tenant",
        resource_id=tenant,
        outcome="success",
        body=msgspec.json.encode(body),
        salt=b"",
        commitment=b"",
    )
    if not ledger.stored(tx, [ledger.identity(draft)]):
        ledger.append(tx, [sealed(draft, random_bytes)], now_us=now_us)
