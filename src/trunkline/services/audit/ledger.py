"""Appends entries in the caller's transaction: rows, tree, heads and text index move together."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import CTE, Column, Connection, and_, bindparam, column, insert, select, update, values
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.errors import TrunklineError
from trunkline.services.audit.entry import Entry, entry_leaf
from trunkline.services.audit.merkle import EMPTY_ROOT
from trunkline.services.audit.tables import AUDIT_EVENT, AUDIT_HEAD, AUDIT_TILE
from trunkline.services.audit.text_index import index_entries
from trunkline.services.audit.tiles import TileAt, TileTree, partial_tiles

UNPLACED: Final = -1
"""The `seq` of an entry that is not in a ledger yet."""
LOOKUP_MAX: Final = 500
"""Identities in one query, well below every database's limit on parameters."""


_EVENT_KEY: Final = (AUDIT_EVENT.c.tenant, AUDIT_EVENT.c.source, AUDIT_EVENT.c.id)
_TILE_KEY: Final = (AUDIT_TILE.c.tenant, AUDIT_TILE.c.level, AUDIT_TILE.c.tile)


class DamagedLedger(TrunklineError):  # noqa: N818 - named for what was found
    """The store cannot take entries, because what it holds contradicts itself."""


class Identity(NamedTuple):
    """What makes an event the same event."""

    tenant: str
    source: str
    id: str


class Content(NamedTuple):
    """What the ledger holds under an identity, as received."""

    headers: bytes
    body: bytes | None


def identity(entry: Entry) -> Identity:
    """The identity of an entry."""
    return Identity(entry.tenant, entry.source, entry.id)


def stored(tx: Connection, identities: Sequence[Identity]) -> dict[Identity, Content]:
    """Those of the identities that are in the ledger, with their content."""
    found: dict[Identity, Content] = {}
    for start in range(0, len(identities), LOOKUP_MAX):
        wanted = _rows(_EVENT_KEY, identities[start : start + LOOKUP_MAX])
        query = select(*_EVENT_KEY, AUDIT_EVENT.c.headers, AUDIT_EVENT.c.body).join_from(
            wanted, AUDIT_EVENT, and_(*(key == wanted.c[key.name] for key in _EVENT_KEY))
        )
        for tenant, source, id_, headers, body in tx.execute(query):
            found[Identity(tenant, source, id_)] = Content(headers, body)
    return found


def append(tx: Connection, entries: Iterable[Entry], *, now_us: int) -> list[Entry]:
    """Give the entries their places and add them; none of them is in the ledger yet. Returns them as placed.

    Locks the heads of their tenants until the transaction ends, so that two writers cannot fork a tree.
    Raises `ValueError` if the stored tree is damaged; nothing may be committed then.
    """
    by_tenant: dict[str, list[Entry]] = {}
    for entry in entries:
        by_tenant.setdefault(entry.tenant, []).append(entry)
    if not by_tenant:
        return []
    trees = _open_trees(tx, sorted(by_tenant))
    placed: list[Entry] = []
    for tenant, tree in trees.items():
        for unplaced in by_tenant[tenant]:
            entry = msgspec.structs.replace(unplaced, seq=tree.size)
            tree.append(entry_leaf(entry))
            placed.append(entry)
    tx.execute(insert(AUDIT_EVENT), [msgspec.structs.asdict(entry) for entry in placed])
    index_entries(tx, placed)
    _save_trees(tx, trees, now_us=now_us)
    return placed


def read_tile(tx: Connection, tenant: str) -> Callable[[TileAt], bytes]:
    """Reads tiles of one tenant's tree; a missing one reads as empty."""

    def read(at: TileAt) -> bytes:
        table = AUDIT_TILE.c
        query = select(table.hashes).where(
            table.tenant == tenant, table.level == at.level, table.tile == at.tile
        )
        hashes = tx.execute(query).scalar()
        return hashes if isinstance(hashes, bytes) else b""

    return read


def _open_trees(tx: Connection, tenants: Sequence[str]) -> dict[str, TileTree]:
    """The trees of these tenants, locked in this order, so that two writers cannot wait for each other."""
    insert_new = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(AUDIT_HEAD)
    tx.execute(
        insert_new.on_conflict_do_nothing(),
        [{"tenant": tenant, "size": 0, "root": EMPTY_ROOT, "updated_us": 0} for tenant in tenants],
    )
    table = AUDIT_HEAD.c
    heads = tx.execute(
        select(table.tenant, table.size)
        .where(table.tenant.in_(tenants))
        .order_by(table.tenant)
        .with_for_update()
    ).all()
    wanted = [(tenant, at.level, at.tile) for tenant, size in heads for at in partial_tiles(size)]
    tiles: dict[str, dict[TileAt, bytes]] = {tenant: {} for tenant in tenants}
    for start in range(0, len(wanted), LOOKUP_MAX):
        partial = _rows(_TILE_KEY, wanted[start : start + LOOKUP_MAX])
        query = select(AUDIT_TILE).join_from(
            partial, AUDIT_TILE, and_(*(key == partial.c[key.name] for key in _TILE_KEY))
        )
        for tenant, level, tile, hashes in tx.execute(query):
            tiles[tenant][TileAt(level, tile)] = hashes
    try:
        return {tenant: TileTree(size, tiles[tenant]) for tenant, size in heads}
    except (ValueError, TypeError) as error:
        raise DamagedLedger(f"the tree of one of {', '.join(tenants)} is damaged: {error}") from error


def _rows(columns: Sequence[Column[Any]], rows: Sequence[tuple[Any, ...]]) -> CTE:
    """The rows as a table to join with: SQLite seeks for it, and scans the index for `(a, b) IN (...)`."""
    named = [column(key.name, key.type) for key in columns]
    return values(*named, name="wanted").data(rows).cte("wanted")


def _save_trees(tx: Connection, trees: dict[str, TileTree], *, now_us: int) -> None:
    upsert = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(AUDIT_TILE)
    tx.execute(
        upsert.on_conflict_do_update(
            index_elements=["tenant", "level", "tile"], set_={"hashes": upsert.excluded.hashes}
        ),
        [
            {"tenant": tenant, "level": at.level, "tile": at.tile, "hashes": bytes(hashes)}
            for tenant, tree in trees.items()
            for at, hashes in tree.changed.items()
        ],
    )
    tx.execute(
        update(AUDIT_HEAD).where(AUDIT_HEAD.c.tenant == bindparam("of_tenant")),
        [
            {"of_tenant": tenant, "size": tree.size, "root": tree.root(), "updated_us": now_us}
            for tenant, tree in trees.items()
        ],
    )
