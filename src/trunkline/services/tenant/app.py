"""The tenant service, put together."""

from typing import TYPE_CHECKING, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Store
from trunkline.services.app import App, Context, Runnable
from trunkline.services.tenant.desk import Desk, TenantEraser
from trunkline.services.tenant.reaper import Reaper
from trunkline.services.tenant.tables import TENANT, TENANTS

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    desk = Desk.of(context)
    reaper = Reaper(context, desk)
    context.registry.register(_ByState(context.store))

    def router() -> "APIRouter":
        from trunkline.services.tenant.api import routes

        return routes(context, desk)

    return App(
        companions=(reaper,),
        router=router,
        eraser=TenantEraser(),
        not_ready=lambda: [reaper.trouble] if reaper.trouble else [],
    )


class _ByState(Collector):
    """Tenants by state, read when somebody asks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> list[GaugeMetricFamily]:
        gauge = GaugeMetricFamily("trunkline_tenant_tenants", "Tenants by state.", labels=["state"])
        query = select(TENANT.c.state, func.count()).group_by(TENANT.c.state)
        try:
            with self._store.read() as tx:
                for state, number in tx.execute(query):
                    gauge.add_metric([state], number)
        except StoreUnavailable:
            return []
        return [gauge]


SERVICE: Final = Runnable(components=(TENANTS,), build=build)
