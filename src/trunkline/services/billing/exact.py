"""Numbers that stay exact: in Python, and in databases of both kinds.

PostgreSQL has NUMERIC; SQLite has no exact type of more than 64 bits, so it keeps the digits as text.
"""

from decimal import Context, Decimal, FloatOperation, Inexact, InvalidOperation, Overflow
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

EXACT: Final = Context(prec=100, traps=[FloatOperation, Inexact, InvalidOperation, Overflow])
"""Raises rather than rounds. Far more digits than any quantity has."""

ZERO: Final = Decimal(0)


def plain(value: Decimal) -> str:
    """The digits, without exponent and without zeros at the end: equal numbers give equal text."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def for_driver(tx: Connection, value: Decimal) -> Decimal | str:
    """A number as a parameter of a statement that goes to the driver as it is."""
    return plain(value) if tx.dialect.name == "sqlite" else value


class Exact(TypeDecorator[Decimal]):
    """A column of exact numbers."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        return plain(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else Decimal(value)
