"""Full-text search over assets: the one module that depends on the kind of database.

SQLite: an FTS5 table whose rowid is `catalog_asset.row_id`. PostgreSQL: a table of word vectors under the
same number, with a GIN index. It follows from the facets and is made anew by `rebuild`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, select, text

from trunkline.errors import InvalidInput
from trunkline.services.catalog import urns
from trunkline.services.catalog.batch import AssetKey
from trunkline.services.catalog.tables import ASSET

TEXT_CHARS_MAX: Final = 20_000
"""How much of one asset is indexed; more is still in the catalog, only not found by its words."""
ASSETS_AT_ONCE: Final = 400
"""In one statement: two parameters each stay within every database's limit."""
NESTING_MAX: Final = 8

_WORD: Final = re.compile(r"[^\W_]+")
_PLACEHOLDERS: Final = {"qmark": "?", "pyformat": "%s"}

_REPLACE_SQLITE: Final = text("INSERT OR REPLACE INTO catalog_text (rowid, text) VALUES (:row_id, :text)")
_REPLACE_POSTGRES: Final = text(
    "INSERT INTO catalog_text (row_id, words) VALUES (:row_id, to_tsvector('simple', :text)) "
    "ON CONFLICT (row_id) DO UPDATE SET words = excluded.words"
)
_MERGE_SQLITE: Final = text("INSERT INTO catalog_text (catalog_text) VALUES ('optimize')")
_MATCHES_SQLITE: Final = "SELECT rowid AS row_id FROM catalog_text WHERE catalog_text MATCH :terms"
_MATCHES_POSTGRES: Final = "SELECT row_id FROM catalog_text WHERE words @@ to_tsquery('simple', :terms)"
_FORGET: Final = {
    "sqlite": text(
        "DELETE FROM catalog_text WHERE rowid IN (SELECT row_id FROM catalog_asset WHERE tenant = :tenant)"
    ),
    "postgresql": text(
        "DELETE FROM catalog_text WHERE row_id IN (SELECT row_id FROM catalog_asset WHERE tenant = :tenant)"
    ),
}


def index(tx: Connection, assets: Sequence[AssetKey]) -> None:
    """Make assets findable by the words in their names and current facets."""
    on_sqlite = tx.dialect.name == "sqlite"
    for begin in range(0, len(assets), ASSETS_AT_ONCE):
        words = _words_of(tx, assets[begin : begin + ASSETS_AT_ONCE])
        rows = [{"row_id": row_id, "text": " ".join(_plain(text_))} for row_id, text_ in words]
        if rows:
            tx.execute(_REPLACE_SQLITE if on_sqlite else _REPLACE_POSTGRES, rows)


def rebuild(tx: Connection) -> int:
    """Make the whole index anew, in the caller's transaction; returns for how many assets."""
    tx.execute(text("DELETE FROM catalog_text"))
    found = tx.execute(select(ASSET.c.tenant, ASSET.c.urn).order_by(ASSET.c.row_id)).all()
    index(tx, [(row.tenant, row.urn) for row in found])
    return len(found)


def forget(tx: Connection, tenant: str) -> int:
    """Drop what is indexed of a tenant, before its assets go.

    FTS5 only notes that words are gone and keeps them until it happens to merge its segments, so it is told
    to: that takes as long as the index is large. PostgreSQL's vacuum sees to it by itself.
    """
    dropped = tx.execute(_FORGET[tx.dialect.name], {"tenant": tenant}).rowcount
    if dropped and tx.dialect.name == "sqlite":
        tx.execute(_MERGE_SQLITE)
    return dropped


def matches(tx: Connection, words: str) -> ColumnElement[bool]:
    """The condition that an asset contains all the words; a trailing `*` stands for any ending.

    Raises `InvalidInput` when nothing is left to look for.
    """
    wanted = [word for word in words.split() if _plain(word)]
    if not wanted:
        raise InvalidInput(f"text {words[:80]!r}: has no word to look for")
    if tx.dialect.name == "sqlite":
        query, terms = _MATCHES_SQLITE, " ".join(_phrase_sqlite(word) for word in wanted)
    else:
        query, terms = _MATCHES_POSTGRES, " & ".join(_phrase_postgres(word) for word in wanted)
    found = text(query).bindparams(terms=terms).columns(ASSET.c.row_id)
    return ASSET.c.row_id.in_(found)


def _words_of(tx: Connection, assets: Sequence[AssetKey]) -> Iterator[tuple[int, str]]:
    """Row number and text of each asset, from one query.

    The cross join fixes the order of SQLite's loops, which would otherwise walk through all assets;
    PostgreSQL takes it as any other join.
    """
    if not assets:
        return
    placeholder = _PLACEHOLDERS[tx.dialect.paramstyle]
    wanted = ", ".join([f"({placeholder}, {placeholder})"] * len(assets))
    statement = (
        "SELECT asset.row_id, asset.urn, facet.value, facet.live "  # noqa: S608 - no value goes in
        f"FROM (VALUES {wanted}) AS wanted CROSS JOIN catalog_asset AS asset "
        "LEFT JOIN catalog_facet AS facet ON facet.tenant = asset.tenant AND facet.urn = asset.urn "
        "WHERE asset.tenant = wanted.column1 AND asset.urn = wanted.column2"
    )
    found: dict[int, list[str]] = {}
    for row_id, urn, value, live in tx.exec_driver_sql(
        statement, tuple(part for key in assets for part in key)
    ):
        parts = found.setdefault(row_id, [urns.name_of(urn)])
        if live:
            parts.extend(islice(_values(msgspec.json.decode(value)), TEXT_CHARS_MAX))
    for row_id, parts in found.items():
        yield row_id, "\n".join(parts)[:TEXT_CHARS_MAX]


def _values(value: Any, depth: int = 0) -> Iterator[str]:
    """The texts in a facet; numbers are looked for by filters, not by words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)) and depth < NESTING_MAX:
        for member in value.values() if isinstance(value, dict) else value:
            yield from _values(member, depth + 1)


def _phrase_sqlite(word: str) -> str:
    """The parts of a word, one behind the other, as one FTS5 phrase."""
    return f'"{" ".join(_plain(word))}"' + ("*" if word.endswith("*") else "")


def _phrase_postgres(word: str) -> str:
    ending = ":*" if word.endswith("*") else ""
    return "(" + " <-> ".join(_plain(word)) + ending + ")"


def _plain(words: str) -> list[str]:
    """Words without accents, case and punctuation, the same on both databases."""
    decomposed = unicodedata.normalize("NFKD", words.casefold())
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _WORD.findall(letters)
