"""Figures of the registry for Prometheus, read from the store when they are asked for."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Store
from trunkline.services.ml.tables import DEPLOYMENT, MODEL, VERSION


class RegistryCollector(Collector):
    """Counts in the store; none while it is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the registry need not ask the store to know that names do not collide."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures now."""
        stages = GaugeMetricFamily("trunkline_ml_versions", "Versions of models, by stage.", labels=["stage"])
        try:
            with self._store.read() as tx:
                models = tx.execute(
                    select(func.count()).select_from(MODEL).where(MODEL.c.deleted.is_(False))
                ).scalar_one()
                for stage, number in tx.execute(select(VERSION.c.stage, func.count()).group_by("stage")):
                    stages.add_metric([stage], number)
                deployed = tx.execute(select(func.count()).select_from(DEPLOYMENT)).scalar_one()
                waiting = tx.execute(
                    select(func.count()).select_from(VERSION).where(VERSION.c.wanted_stage.is_not(None))
                ).scalar_one()
        except StoreUnavailable:
            return
        yield GaugeMetricFamily("trunkline_ml_models", "Registered models.", value=models)
        yield stages
        yield GaugeMetricFamily(
            "trunkline_ml_deployments", "Endpoints at which versions answer.", value=deployed
        )
        yield GaugeMetricFamily(
            "trunkline_ml_waiting_for_approval", "Versions that wait for a second person.", value=waiting
        )
