"""The migrations create exactly the tables that the code uses."""

from contextlib import closing

from sqlalchemy import inspect

from trunkline.client.store import migrate, open_store
from trunkline.services.governance.tables import BY_TENANT, GOVERNANCE, METADATA


def test_the_migrations_create_the_tables(store_url: str) -> None:
    with closing(open_store(store_url)) as store:
        migrate(store, GOVERNANCE)
        with store.read() as tx:
            found = inspect(tx)
            for table in METADATA.sorted_tables:
                columns = {column["name"]: column for column in found.get_columns(table.name)}
                assert set(columns) == set(table.c.keys())
                for column in table.c:
                    assert columns[column.name]["nullable"] == column.nullable, column
                key = found.get_pk_constraint(table.name)["constrained_columns"]
                assert key == [column.name for column in table.primary_key]
                indexes = {index["name"] for index in found.get_indexes(table.name)}
                assert indexes == {index.name for index in table.indexes}


def test_an_erasure_knows_every_table_with_a_tenant() -> None:
    assert set(BY_TENANT) == {table for table in METADATA.sorted_tables if "tenant" in table.c}
