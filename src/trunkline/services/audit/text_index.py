"""Full-text search over the ledger: the one module that depends on the kind of database.

SQLite: a contentless FTS5 table whose rowid is `audit_event.row_id`. PostgreSQL: a table of word vectors
under the same number, with a GIN index. Either holds no text of its own, can be rebuilt from the entries at
any time, and is not evidence: `verify` does not judge it.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, Connection, text

from trunkline.errors import InvalidInput
from trunkline.services.audit.entry import Entry
from trunkline.services.audit.tables import AUDIT_EVENT

TEXT_CHARS_MAX: Final = 100_000
"""How much of one entry is indexed; more is still in the ledger, only not found by its words."""
NESTING_MAX: Final = 32
"""How deep into a JSON body the words are looked for."""

_WORD: Final = re.compile(r"[^\W_]+")

_INSERT_SQLITE: Final = text(
    "INSERT INTO audit_text (rowid, text) "
    "SELECT row_id, :text FROM audit_event WHERE tenant = :tenant AND seq = :seq"
)
_INSERT_POSTGRES: Final = text(
    "INSERT INTO audit_text (row_id, words) "
    "SELECT row_id, to_tsvector('simple', :text) FROM audit_event WHERE tenant = :tenant AND seq = :seq"
)
_DELETE_SQLITE: Final = text(
    "INSERT INTO audit_text (audit_text, rowid, text) VALUES ('delete', :row_id, :text)"
)
_DELETE_POSTGRES: Final = text("DELETE FROM audit_text WHERE row_id = :row_id")
_OPTIMIZE_SQLITE: Final = text("INSERT INTO audit_text (audit_text) VALUES ('optimize')")

_MATCHES_SQLITE: Final = "SELECT rowid AS row_id FROM audit_text WHERE audit_text MATCH :terms"
_MATCHES_POSTGRES: Final = "SELECT row_id FROM audit_text WHERE words @@ to_tsquery('simple', :terms)"


def index_entries(tx: Connection, entries: Sequence[Entry]) -> None:
    """Make inserted entries findable by the words in them."""
    on_sqlite = tx.dialect.name == "sqlite"
    rows = [
        {
            "tenant": entry.tenant,
            "seq": entry.seq,
            "text": words_of(entry) if on_sqlite else " ".join(_plain(words_of(entry))),
        }
        for entry in entries
    ]
    tx.execute(_INSERT_SQLITE if on_sqlite else _INSERT_POSTGRES, rows)


def unindex(tx: Connection, entries: Sequence[tuple[int, Entry]]) -> None:
    """Make entries, each with its row's number, findable no more; they are as they were indexed.

    Their words may be in the index's pages until `compact`.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(_DELETE_POSTGRES, [{"row_id": row_id} for row_id, _ in entries])
        return
    tx.execute(_DELETE_SQLITE, [{"row_id": row_id, "text": words_of(entry)} for row_id, entry in entries])


def compact(tx: Connection) -> None:
    """Rewrite the index without what was taken out of it. Takes as long as the index is large.

    FTS5 only notes that a word is gone and keeps it until it happens to merge its segments; PostgreSQL's
    vacuum sees to it by itself.
    """
    if tx.dialect.name == "sqlite":
        tx.execute(_OPTIMIZE_SQLITE)


def matches(tx: Connection, words: str) -> ColumnElement[bool]:
    """The condition that an entry contains all the words; a trailing `*` stands for any ending.

    Raises `InvalidInput` when nothing is left to look for.
    """
    wanted = [word for word in words.split() if any(char.isalnum() for char in word)]
    if not wanted:
        raise InvalidInput(f"text {words!r}: has no word to look for")
    if tx.dialect.name == "sqlite":
        query, terms = _MATCHES_SQLITE, " ".join(_phrase_sqlite(word) for word in wanted)
    else:
        query, terms = _MATCHES_POSTGRES, " & ".join(_phrase_postgres(word) for word in wanted)
    found = text(query).bindparams(terms=terms).columns(AUDIT_EVENT.c.row_id)
    return AUDIT_EVENT.c.row_id.in_(found)


def words_of(entry: Entry) -> str:
    """What is indexed of an entry: every value in its body, its action and its note, but no field names."""
    parts = [entry.action or "", entry.note or ""]
    if entry.body is not None:
        try:
            parts.extend(_values(msgspec.json.decode(entry.body)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            parts.append(entry.body.decode(errors="replace"))
    return "\n".join(parts)[:TEXT_CHARS_MAX]


def _values(value: object, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)) and depth < NESTING_MAX:
        members: Iterable[object] = value.values() if isinstance(value, dict) else value
        for member in members:
            yield from _values(member, depth + 1)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def _phrase_sqlite(word: str) -> str:
    """One FTS5 phrase, so that punctuation in an address or an ARN is not taken for syntax."""
    stem = word.rstrip("*")
    return '"' + stem.replace('"', '""') + '"' + ("*" if stem != word else "")


def _phrase_postgres(word: str) -> str:
    """The parts of a word, one behind the other."""
    parts = _plain(word)
    ending = ":*" if word.endswith("*") else ""
    return "(" + " <-> ".join(parts) + ending + ")"


def _plain(words: str) -> list[str]:
    """Words without accents, case and punctuation, as FTS5's unicode61 has them.

    PostgreSQL's own parser would take an address or a path for one word, and find none of its parts.
    """
    decomposed = unicodedata.normalize("NFKD", words.casefold())
    letters = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _WORD.findall(letters)
