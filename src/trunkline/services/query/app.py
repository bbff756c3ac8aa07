"""The query engine, put together, and where its files are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from trunkline.client.outbox import Outbox
from trunkline.services.app import App, Context, Runnable
from trunkline.services.query import log
from trunkline.services.query.databases import Databases
from trunkline.services.query.engine import QueryEngine
from trunkline.services.query.following import PolicyFollower
from trunkline.services.query.limits import QuerySettings
from trunkline.services.query.metrics import QueryMetrics
from trunkline.services.query.sweeping import Sweeper
from trunkline.services.query.tables import QUERY

if TYPE_CHECKING:
    from fastapi import APIRouter

MEMORY_MB: Final = 512
"""What the queries of one tenant may take together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The query engine in parts, for those who run it without the rest of a service."""

    engine: QueryEngine
    policies: PolicyFollower
    databases: Databases
    settings: QuerySettings
    outbox: Outbox


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


def parts(context: Context) -> Parts:
    """The engine on a context. The policies are unknown until `policies.start`. Raises `InvalidInput`."""
    assert context.outbox is not None, "the query engine publishes"
    settings = QuerySettings(context.settings)
    policies = PolicyFollower(
        context.connection,
        last_known_good=kept_policies_path(context.data_dir),
        registry=context.registry,
        wall=context.wall,
    )
    databases = Databases(
        context.data_dir / "query" / "data", memory_mb=MEMORY_MB, data_set=settings.data_set
    )
    engine = QueryEngine(
        context.store,
        context.outbox,
        policies=policies,
        databases=databases,
        settings=settings,
        metrics=QueryMetrics(context.registry),
        wake=context.wake,
        wall=context.wall,
    )
    return Parts(
        engine=engine, policies=policies, databases=databases, settings=settings, outbox=context.outbox
    )


def build(context: Context) -> App:
    """The service on its store. Raises `InvalidInput`."""
    made = parts(context)
    sweeper = Sweeper(
        context.store,
        made.outbox,
        made.databases,
        made.settings,
        wake=context.wake,
        wall=context.wall,
    )

    def router() -> "APIRouter":
        from trunkline.services.query.api import routes

        return routes(made, context.store)

    def not_ready() -> list[str]:
        reason = made.policies.not_ready
        return [] if reason is None else [reason]

    return App(
        companions=(made.policies, sweeper),
        router=router,
        eraser=QueryEraser(made.databases),
        not_ready=not_ready,
    )


SERVICE: Final = Runnable(components=(QUERY,), build=build)
