"""The AI service, put together."""

from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Store
from trunkline.services.ai.desk import AgentEraser, Desk
from trunkline.services.ai.tables import AGENTS, RUN
from trunkline.services.app import App, Context, Runnable

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    desk = Desk.of(context)
    context.registry.register(_ByState(context.store))

    def router() -> "APIRouter":
        from trunkline.services.ai.api import routes

        return routes(context, desk)

    return App(router=router, eraser=AgentEraser())


class _ByState(Collector):
    """Runs by state, read when somebody asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> list[GaugeMetricFamily]:
        gauge = GaugeMetricFamily("trunkline_ai_runs", "Runs of agents by state.", labels=["state"])
        query = select(RUN.c.state, func.count()).group_by(RUN.c.state)
        try:
            with self._store.read() as tx:
                for state, number in tx.execute(query):
                    gauge.add_metric([state], number)
        except StoreUnavailable:
            return []
        return [gauge]


SERVICE: Final = Runnable(components=(AGENTS,), build=build)
