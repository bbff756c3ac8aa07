"""An empty catalog on each kind of database; the tests of a module share the databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from trunkline.services.catalog.tables import METADATA
from trunkline.testing.catalog_desk import Catalog, opened
from trunkline.testing.postgres import PostgresServer


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """URLs of those that were made, by kind."""
    directory: Path = tmp_path_factory.mktemp("catalog")
    return {"sqlite": f"sqlite:///{directory / 'catalog.db'}"}


@pytest.fixture(params=["sqlite", "postgres"])
def catalog(request: pytest.FixtureRequest, databases: dict[str, str]) -> Iterator[Catalog]:
    kind = request.param
    if kind not in databases:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        databases[kind] = server.create_database()
    with opened(databases[kind]) as one:
        with one.store.write() as tx:
            for table in METADATA.sorted_tables:
                tx.execute(delete(table))
            tx.execute(text("DELETE FROM catalog_text"))
        yield one
