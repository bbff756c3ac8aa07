"""Migrations, component by component."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from trunkline.client.errors import StoreIncompatible
from trunkline.client.store import Component, Store, migrate, open_store
from trunkline.client.store.tables import METADATA

REVISION = """
from alembic import op
import sqlalchemy as sa
revision = "{revision}"
down_revision = {down}
def upgrade():
    op.create_table("{table}", sa.Column("a", sa.Integer, primary_key=True))
    {more}
"""


def component(directory: Path, *revisions: tuple[str, str | None, str, str]) -> Component:
    directory.mkdir(exist_ok=True)
    for revision, down, table, more in revisions:
        code = REVISION.format(revision=revision, down=repr(down), table=table, more=more)
        (directory / f"r{revision}.py").write_text(code)
    return Component("own", directory)


def test_the_migrated_tables_are_those_the_code_uses(store: Store) -> None:
    with store.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), METADATA)
    names = {name for _, item, *_ in differences if (name := getattr(item, "name", "")) is not None}
    assert names <= {"consumer_schema_version"}


def test_migrating_twice_changes_nothing(store: Store) -> None:
    migrate(store)
    with store.read() as tx:
        assert tx.execute(text("SELECT version_num FROM consumer_schema_version")).scalars().all() == ["0002"]


def test_a_services_own_tables_move_independently_in_the_same_database(store: Store, tmp_path: Path) -> None:
    migrate(store, component(tmp_path / "own", ("0001", None, "first", "pass")))
    migrate(store, component(tmp_path / "own", ("0002", "0001", "second", "pass")))
    with store.read() as tx:
        assert {"first", "second", "failure"} <= set(inspect(tx).get_table_names())


def test_a_migration_that_fails_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    broken = component(tmp_path / "own", ("0001", None, "first", "raise RuntimeError('half done')"))
    with pytest.raises(RuntimeError, match="half done"):
        migrate(store, broken)
    with store.read() as tx:
        assert "first" not in inspect(tx).get_table_names()


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    with store.write() as tx:
        tx.execute(text("UPDATE consumer_schema_version SET version_num = '9999'"))
    with pytest.raises(StoreIncompatible, match="upgrade Trunkline"):
        migrate(store)


def test_two_that_migrate_at_once_do_it_once(tmp_path: Path) -> None:
    fresh = open_store(f"sqlite:///{tmp_path / 'fresh.db'}")
    raised: list[BaseException] = []

    def run() -> None:
        try:
            migrate(fresh)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh.close()
    assert raised == []
