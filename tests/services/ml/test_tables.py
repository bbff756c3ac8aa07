"""The tables are those that the migrations make."""

from sqlalchemy import inspect

from trunkline.services.app import Context
from trunkline.services.ml.tables import METADATA


def test_the_migrations_make_every_table_with_its_columns(context: Context) -> None:
    with context.store.read() as tx:
        found = inspect(tx)
        for table in METADATA.sorted_tables:
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: column.nullable for column in table.columns}
            key = found.get_pk_constraint(table.name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key]
