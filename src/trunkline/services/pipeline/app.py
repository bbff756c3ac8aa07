"""The pipeline service, put together. It consumes nothing: runs are told to it, and it tells them on."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, delete, func, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Store
from trunkline.services.app import App, Context, Runnable
from trunkline.services.pipeline.lifecycle import State
from trunkline.services.pipeline.tables import PIPELINE, PIPELINE_RUN, PIPELINE_STEP

if TYPE_CHECKING:
    from fastapi import APIRouter


class PipelineEraser:
    """An `Eraser`: runs name datasets and messages of their tenant, and nothing else needs them."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """Delete all rows of the tenant."""
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
            for table in (PIPELINE_STEP, PIPELINE_RUN)
        }


class RunsCollector(Collector):
    """`trunkline_pipeline_runs`: how many runs are in which state, read when asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Without a look at the store."""
        yield self._family()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The runs by state, none left out; nothing while the store is away."""
        family = self._family()
        table = PIPELINE_RUN.c
        try:
            with self._store.read() as tx:
                rows = tx.execute(select(table.state, func.count()).group_by(table.state)).all()
        except StoreUnavailable:
            return
        found: dict[str, int] = dict(rows)
        for state in State:
            family.add_metric([state], found.get(state, 0))
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily("trunkline_pipeline_runs", "Runs of jobs, by state.", labels=["state"])


def build(context: Context) -> App:
    """The service on its store."""
    context.registry.register(RunsCollector(context.store))

    def router() -> "APIRouter":
        from trunkline.services.pipeline.api import routes

        return routes(context)

    return App(router=router, eraser=PipelineEraser())


SERVICE: Final = Runnable(components=(PIPELINE,), build=build)
