"""Silences in the store."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, or_, select, update

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.errors import InvalidInput, NotFound
from trunkline.services.notification.silences import Matches, Silence
from trunkline.services.notification.tables import SILENCE


def in_force(tx: Connection, tenants: Collection[str], *, now_us: int) -> dict[str, list[Silence]]:
    """Silences that hold now or will, by tenant; those of everybody are each tenant's, too."""
    table = SILENCE.c
    query = (
        select(SILENCE)
        .where(or_(table.tenant.in_(list(tenants)), table.tenant == SYSTEM_TENANT), table.ends_us > now_us)
        .order_by(table.id)
    )
    found: dict[str, list[Silence]] = {tenant: [] for tenant in tenants}
    for row in tx.execute(query):
        silence = silence_of(row)
        for tenant in tenants if silence.tenant == SYSTEM_TENANT else (silence.tenant,):
            found[tenant].append(silence)
    return found


def add(tx: Connection, silence: Silence) -> None:
    """Add a silence. Raises `InvalidInput` for one that never holds."""
    if silence.ends_us <= silence.starts_us:
        raise InvalidInput("a silence ends after it starts")
    row = msgspec.structs.asdict(silence)
    tx.execute(insert(SILENCE), row | {"matches": msgspec.json.encode(silence.matches).decode()})


def end(tx: Connection, id_: str, *, tenant: str, now_us: int) -> None:
    """End a silence now. Raises `NotFound` if the tenant has none of this id in force."""
    table = SILENCE.c
    query = update(SILENCE).where(table.id == id_, table.tenant == tenant, table.ends_us > now_us)
    if tx.execute(query.values(ends_us=now_us)).rowcount == 0:
        raise NotFound(f"silence {id_}: {tenant} has none of this id that is in force")


def listed(tx: Connection, tenant: str, *, since_us: int) -> list[Silence]:
    """The tenant's silences that had not ended at `since_us`, those of everybody included."""
    table = SILENCE.c
    query = (
        select(SILENCE)
        .where(table.tenant.in_((tenant, SYSTEM_TENANT)), table.ends_us > since_us)
        .order_by(table.starts_us, table.id)
    )
    return [silence_of(row) for row in tx.execute(query)]


def silence_of(row: Row[Any]) -> Silence:
    """A row of the table as a silence."""
    return Silence(
        id=row.id,
        tenant=row.tenant,
        matches=msgspec.json.decode(row.matches, type=Matches),
        starts_us=row.starts_us,
        ends_us=row.ends_us,
        actor=row.actor,
        comment=row.comment,
    )
