"""A registry of models on each kind of database, as the service runs it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX, Outbox
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store, migrate, open_store
from trunkline.services.app import Context
from trunkline.services.kit.ending import ENDED_TENANT, ENDING
from trunkline.services.kit.keys import KeyRing
from trunkline.services.kit.settings import FixedSettings
from trunkline.services.ml.tables import ALL_TABLES, REGISTRY
from trunkline.services.ml.work import Work, changing
from trunkline.testing.postgres import PostgresServer

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
Changing = Callable[..., AbstractContextManager[Work]]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """URLs of those that were made, by kind; the tests of a module share them."""
    directory: Path = tmp_path_factory.mktemp("ml")
    return {"sqlite": f"sqlite:///{directory / 'ml.db'}"}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, databases: dict[str, str]) -> Iterator[Store]:
    """An empty store of each kind."""
    kind = request.param
    if kind not in databases:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        databases[kind] = server.create_database()
    with closing(open_store(databases[kind])) as opened:
        migrate(opened)
        for component in (OUTBOX, ENDING, REGISTRY):
            migrate(opened, component)
        with opened.write() as tx:
            for table in (OUTBOX_EVENT, ENDED_TENANT, *ALL_TABLES):
                tx.execute(delete(table))
        yield opened


@pytest.fixture
def context(store: Store, tmp_path: Path) -> Iterator[Context]:
    """The service's context; its clock stands still."""
    catalogue = load_catalogue()
    with closing(KeyRing.open(f"sqlite:///{tmp_path / 'keys.db'}", tmp_path / "master")) as keys:
        yield Context(
            service="ml-service",
            instance="test",
            store=store,
            data_dir=tmp_path,
            catalogue=catalogue,
            environment=catalogue.environment("development"),
            connection=ConnectionOptions(bootstrap_servers="127.0.0.1:1"),
            settings=FixedSettings(),
            keys=keys,
            outbox=Outbox(service="ml-service", catalogue=catalogue),
            wake=lambda: None,
            on_failure=lambda _error: None,
            wall=lambda: NOW,
        )


@pytest.fixture
def acting(context: Context) -> Changing:
    """`with acting("ben") as work:` one change of the registry of acme, by ben; by ana unless given."""

    @contextmanager
    def act(actor: str = "ana", tenant: str = "acme") -> Iterator[Work]:
        with changing(context, tenant, actor=actor) as work:
            yield work

    return act


@pytest.fixture
def published(context: Context) -> Callable[[], list[Any]]:
    """What the service has to publish, in order: rows of the outbox."""

    def rows() -> list[Any]:
        with context.store.read() as tx:
            return list(tx.execute(select(OUTBOX_EVENT).order_by(OUTBOX_EVENT.c.position)))

    return rows
