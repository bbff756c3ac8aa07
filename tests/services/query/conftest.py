"""What the query engine's tests share: a database of each kind, a planner, and somebody who reads."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from trunkline.services.query.database import TenantDatabase
from trunkline.services.query.databases import provision
from trunkline.services.query.planner import Planner
from trunkline.testing.query import PEOPLE


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
