"""What IAM tells Prometheus, read when somebody asks."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, Connection, Table, func, select

from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import Store
from trunkline.services.iam.tables import ACCOUNT, API_KEY, ERASURE_REQUEST, RECEIPT
from trunkline.services.kit.ending.ends import to_us


class IamGauges(Collector):
    """Counts of what wants attention."""

    def __init__(self, store: Store, wall: Callable[[], datetime]) -> None:
        self._store = store
        self._wall = wall

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> list[GaugeMetricFamily]:
        locked = ACCOUNT.c.locked_until_us > to_us(self._wall())
        try:
            with self._store.read() as tx:
                return [
                    _gauge(tx, "locked_accounts", "Accounts that may not log in now.", ACCOUNT, locked),
                    _gauge(tx, "api_keys", "Keys that work.", API_KEY, API_KEY.c.revoked_us.is_(None)),
                    _gauge(
                        tx,
                        "open_erasure_requests",
                        "People whose data is not known to be erased yet.",
                        ERASURE_REQUEST,
                        ERASURE_REQUEST.c.completed_us.is_(None),
                    ),
                    _gauge(tx, "erasure_receipts", "Receipts of ended tenants, of all services.", RECEIPT),
                ]
        except StoreUnavailable:
            return []


def _gauge(
    tx: Connection, name: str, text: str, table: Table, *where: ColumnElement[Any]
) -> GaugeMetricFamily:
    number = tx.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
    return GaugeMetricFamily(f"trunkline_iam_{name}", text, value=number)
