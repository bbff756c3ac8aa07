"""What the query engine's tests share: a database of each kind, a planner, and somebody who reads."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from trunkline.client.outbox import OUTBOX
from trunkline.client.store import migrate, open_store
from trunkline.client.store.migrate import CONSUMER_STATE
from trunkline.services.kit.ending import ENDING
from trunkline.services.query.database import TenantDatabase
from trunkline.services.query.databases import Databases, provision
from trunkline.services.query.planner import Planner
from trunkline.services.query.tables import QUERY
from trunkline.testing.query import PEOPLE, EngineBench


@pytest.fixture(scope="session")
def people_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "data.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(PEOPLE)
    return path


@pytest.fixture(scope="session")
def people(people_path: Path) -> Iterator[TenantDatabase]:
    """Half of the rows of hr.salary are of EMEA; the secrets of the others begin with `hidden`."""
    database = TenantDatabase(people_path, memory_mb=256)
    yield database
    database.close()


@pytest.fixture(scope="session")
def tpch_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tpch") / "data.duckdb"
    provision(path, "tpch")
    return path


@pytest.fixture(scope="session")
def tpch(tpch_path: Path) -> Iterator[TenantDatabase]:
    database = TenantDatabase(tpch_path, memory_mb=512)
    yield database
    database.close()


@pytest.fixture(scope="session")
def planner() -> Iterator[Planner]:
    made = Planner()
    yield made
    made.close()


@pytest.fixture
def databases(tmp_path: Path, people_path: Path) -> Iterator[Databases]:
    """The tenant acme has the people; others get what there is for those without a database."""
    made = Databases(tmp_path / "data", memory_mb=256, data_set=lambda _: "empty")
    path = made.path("acme")
    path.parent.mkdir(parents=True)
    shutil.copy(people_path, path)
    yield made
    made.close()


@contextmanager
def bench_on(url: str, databases: Databases) -> Iterator[EngineBench]:
    store = open_store(url)
    for component in (CONSUMER_STATE, OUTBOX, ENDING, QUERY):
        migrate(store, component)
    made = EngineBench(store, databases)
    try:
        yield made
    finally:
        made.close()
        store.close()


@pytest.fixture
def bench(tmp_path: Path, databases: Databases) -> Iterator[EngineBench]:
    """An engine whose policies, settings and clock the test decides on."""
    with bench_on(f"sqlite:///{tmp_path / 'service.db'}", databases) as made:
        yield made


@pytest.fixture
def each_bench(store_url: str, databases: Databases) -> Iterator[EngineBench]:
    """The same on each kind of store, for what the store has a part in."""
    with bench_on(store_url, databases) as made:
        yield made
