"""Full-text search over the ledger: the one module that depends on the kind of database.

SQLite: a contentless FTS5 table whose rowid is `audit_event.row_id`. It holds no text of its own, can be
rebuilt from the entries at any time, and is not evidence: `verify` does not judge it.
"""

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

_INSERT: Final = text(
    "INSERT INTO audit_text (rowid, text) "
    "SELECT row_id, :text FROM audit_event WHERE tenant = :tenant AND seq = :seq"
)
_MATCHES: Final = "SELECT rowid AS row_id FROM audit_text WHERE audit_text MATCH :terms"


def index_entries(tx: Connection, entries: Sequence[Entry]) -> None:
    """Make inserted entries findable by the words in them."""
    tx.execute(
        _INSERT,
        [{"tenant": entry.tenant, "seq": entry.seq, "text": words_of(entry)} for entry in entries],
    )


def matches(words: str) -> ColumnElement[bool]:
    """The condition that an entry contains all the words; a trailing `*` stands for any ending.

    Raises `InvalidInput` when nothing is left to look for.
    """
    terms = [_quote(word) for word in words.split() if any(char.isalnum() for char in word)]
    if not terms:
        raise InvalidInput(f"text {words!r}: has no word to look for")
    found = text(_MATCHES).bindparams(terms=" ".join(terms)).columns(AUDIT_EVENT.c.row_id)
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


def _quote(word: str) -> str:
    """One FTS5 phrase, so that punctuation in an address or an ARN is not taken for syntax."""
    stem = word.rstrip("*")
    return '"' + stem.replace('"', '""') + '"' + ("*" if stem != word else "")


def require_supported(tx: Connection) -> None:
    """Raises `InvalidInput` for a kind of database that the ledger does not run on."""
    if tx.dialect.name != "sqlite":
        raise InvalidInput(f"the audit ledger does not run on {tx.dialect.name} yet; use sqlite:///PATH")
