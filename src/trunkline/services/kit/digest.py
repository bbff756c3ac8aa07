"""One hash over the rows of tables, in no particular order: equal states have equal digests."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, select


def digest_of(tx: Connection, tables: Iterable[tuple[str, Iterable[ColumnElement[Any]]]]) -> str:
    """SHA-256 of the named sets of columns, as 64 hexadecimal digits.

    Give only columns that follow from the events whatever order and repetition they come in: no row numbers,
    no times of arrival. Numbers of any kind are compared by value, JSON must have been made with sorted keys.
    """
    whole = hashlib.sha256()
    for name, columns in tables:
        whole.update(name.encode() + b"\0")
        rows = tx.execute(select(*columns)).all()
        for line in sorted(msgspec.json.encode([_plain(value) for value in row]) for row in rows):
            whole.update(line + b"\n")
    return whole.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return value.isoformat()
    return value
