"""Appends entries in the caller's transaction: rows, tree, heads and text index move together."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, TextClause, bindparam, insert, select, text, update
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
    for row in _seek(tx, AUDIT_EVENT.name, Identity._fields, identities, also=Content._fields):
        tenant, source, id_, headers, body = row
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
    for tenant, level, tile, hashes in _seek(
        tx, AUDIT_TILE.name, ("tenant", "level", "tile"), wanted, also=("hashes",)
    ):
        tiles[tenant][TileAt(level, tile)] = hashes
    try:
        return {tenant: TileTree(size, tiles[tenant]) for tenant, size in heads}
    except (ValueError, TypeError) as error:
        raise DamagedLedger(f"the tree of one of {', '.join(tenants)} is damaged: {error}") from error


def _seek(
    tx: Connection,
    table: str,
    key: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    *,
    also: tuple[str, ...],
) -> Iterator[Sequence[Any]]:
    """The columns `key` and `also` of the rows of `table` whose key is one of these."""
    for start in range(0, len(rows), LOOKUP_MAX):
        wanted = rows[start : start + LOOKUP_MAX]
        named = {
            f"{name}_{number}": value
            for number, row in enumerate(wanted)
            for name, value in zip(key, row, strict=True)
        }
        yield from tx.execute(_seek_query(table, key, also, len(wanted)), named)


@lru_cache(maxsize=LOOKUP_MAX)
def _seek_query(table: str, key: tuple[str, ...], also: tuple[str, ...], count: int) -> TextClause:
    """A join with the wanted keys: SQLite seeks for it, and scans the index for `(a, b) IN (...)`.

    As text, because SQLAlchemy compiles `VALUES` anew for every execution, which took a third of an append.
    """
    rows = ", ".join(f"({', '.join(f':{name}_{number}' for name in key)})" for number in range(count))
    shown = ", ".join(f"{table}.{name}" for name in (*key, *also))
    same = " AND ".join(f"{table}.{name} = wanted.{name}" for name in key)
    return text(
        f"WITH wanted ({', '.join(key)}) AS (VALUES {rows}) "  # noqa: S608 - names of our own tables and columns
        f"SELECT {shown} FROM wanted JOIN {table} ON {same}"
    )


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
