"""A state's digest: by content, not by order of rows or kind of database."""

import random
from contextlib import closing
from decimal import Decimal

import pytest
from sqlalchemy import Column, LargeBinary, MetaData, Numeric, Table, Text, insert

from trunkline.client.store import open_store
from trunkline.services.kit.digest import digest_of

TABLE = Table(
    "thing",
    MetaData(),
    Column("name", Text),
    Column("amount", Numeric(30, 9, asdecimal=True).with_variant(Text, "sqlite")),
    Column("body", LargeBinary),
)
ROWS: list[dict[str, object]] = [
    {"name": f"n{number}", "amount": f"{number}.5", "body": bytes([number])} for number in range(20)
]


def digest(url: str, rows: list[dict[str, object]]) -> str:
    with closing(open_store(url)) as store, store.write() as tx:
        TABLE.drop(tx, checkfirst=True)
        TABLE.create(tx)
        if rows:
            tx.execute(insert(TABLE), [{**row, "amount": _amount(tx.dialect.name, row)} for row in rows])
        return digest_of(tx, [("things", (TABLE.c.name, TABLE.c.amount, TABLE.c.body))])


def _amount(dialect: str, row: dict[str, object]) -> object:
    return row["amount"] if dialect == "sqlite" else Decimal(str(row["amount"]))


def test_the_order_of_rows_does_not_count(store_url: str) -> None:
    others = list(ROWS)
    random.Random(1).shuffle(others)
    assert digest(store_url, ROWS) == digest(store_url, others)


@pytest.mark.parametrize(
    "others", [ROWS[1:], [*ROWS, ROWS[0]], [{**ROWS[0], "name": "m"}, *ROWS[1:]], []], ids=str
)
def test_every_row_and_every_value_counts(store_url: str, others: list[dict[str, object]]) -> None:
    assert digest(store_url, ROWS) != digest(store_url, others)
