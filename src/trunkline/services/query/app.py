"""The query engine, put together, and where its files are."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from trunkline.services.app import App, Context, Runnable
from trunkline.services.kit.ending.ends import all_ended
from trunkline.services.query import log
from trunkline.services.query.databases import Databases
from trunkline.services.query.engine import QueryEngine
from trunkline.services.query.following import PolicyFollower, PolicySource
from trunkline.services.query.limits import QuerySettings
from trunkline.services.query.metrics import QueryMetrics
from trunkline.services.query.sweeping import Sweeper
from trunkline.services.query.tables import QUERY

if TYPE_CHECKING:
    from fastapi import APIRouter

MEMORY_MB: Final = 512
"""What the queries of one tenant may take together."""


class QueryEraser:
    """Deletes the tenant's entries and its database."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """See `services.app.Eraser`. A file that a query still reads, and those of other instances, are
        deleted by the sweeper of each."""
        return {**log.erase(tx, tenant), "database": int(self._databases.drop(tenant))}


def kept_policies_path(data_dir: Path) -> Path:
    """The policies that this machine knew last."""
    return data_dir / "query" / "policies.json"


def databases_of(context: Context) -> Databases:
    """The databases of this machine's tenants."""
    settings = QuerySettings(context.settings)
    return Databases(context.data_dir / "query" / "data", memory_mb=MEMORY_MB, data_set=settings.data_set)


def engine_on(context: Context, policies: PolicySource, databases: Databases) -> QueryEngine:
    """An engine that decides by these policies."""
    assert context.outbox is not None, "the query engine publishes"
    return QueryEngine(
        context.store,
        context.outbox,
        policies=policies,
        databases=databases,
        settings=QuerySettings(context.settings),
        metrics=QueryMetrics(context.registry),
        wake=context.wake,
        wall=context.wall,
    )


def follower_on(context: Context) -> PolicyFollower:
    """What follows the policies of all tenants, once it is started. Raises `InvalidInput`."""

    def ended() -> frozenset[str]:
        with context.store.read() as tx:
            return all_ended(tx)

    return PolicyFollower(
        context.connection,
        last_known_good=kept_policies_path(context.data_dir),
        ended=ended,
        registry=context.registry,
        wall=context.wall,
    )


def build(context: Context) -> App:
    """The service on its store. Raises `InvalidInput`."""
    assert context.outbox is not None, "the query engine publishes"
    policies, databases = follower_on(context), databases_of(context)
    engine = engine_on(context, policies, databases)
    sweeper = Sweeper(
        context.store,
        context.outbox,
        databases,
        QuerySettings(context.settings),
        wake=context.wake,
        wall=context.wall,
    )

    def router() -> "APIRouter":
        from trunkline.services.query.api import routes

        return routes(engine, policies)

    def not_ready() -> list[str]:
        reason = policies.not_ready
        return [] if reason is None else [reason]

    return App(
        companions=(policies, sweeper),
        router=router,
        eraser=QueryEraser(databases),
        not_ready=not_ready,
    )


SERVICE: Final = Runnable(components=(QUERY,), build=build)
