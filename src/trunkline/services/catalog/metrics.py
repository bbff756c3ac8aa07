"""Figures of the catalog for Prometheus, read from the store when they are asked for."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Select, func, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Store
from trunkline.services.catalog.pending import UNKNOWN
from trunkline.services.catalog.tables import ASSET, CHANGE, EDGE, REJECTED

_COUNTED: Final = (
    ("trunkline_catalog_changes", "Versions of facets that are kept.", CHANGE),
    ("trunkline_catalog_edges", "Dependencies between assets.", EDGE),
    ("trunkline_catalog_rejected_facets", "Parts of events that could not be kept.", REJECTED),
)


class CatalogCollector(Collector):
    """Counts in the store: what a transaction that was rolled back did never shows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the registry need not ask the store to know that names do not collide."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures now; none while the store is away."""
        try:
            with self._store.read() as tx:
                yield from list(_figures(tx))
        except StoreUnavailable:
            return


def _figures(tx: Connection) -> Iterator[GaugeMetricFamily]:
    assets = GaugeMetricFamily("trunkline_catalog_assets", "Assets, by kind.", labels=["kind"])
    for kind, number in tx.execute(select(ASSET.c.kind, func.count()).group_by(ASSET.c.kind)):
        assets.add_metric([kind], number)
    yield assets
    for name, text, table in _COUNTED:
        yield GaugeMetricFamily(name, text, value=_count(tx, select(func.count()).select_from(table)))
    yield GaugeMetricFamily(
        "trunkline_catalog_pending",
        "Models and versions that events speak of and that nobody has registered.",
        value=_count(tx, select(func.count()).select_from(ASSET).where(*UNKNOWN)),
    )


def _count(tx: Connection, query: Select[int]) -> int:
    return tx.execute(query).scalar_one()
