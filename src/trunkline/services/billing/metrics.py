"""What billing counts beside its consumer. No label carries a tenant."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Connection, func, select

from trunkline.services.billing.tables import PERIOD, QUARANTINE

PREFIX: Final = "trunkline_billing_"


class Metrics:
    """One instance's numbers in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(PREFIX + name, text, registry=registry)

        self.closed = Counter(PREFIX + "periods_closed", "Months of tenants closed here.", registry=registry)
        self.recounted = Counter(
            PREFIX + "numbers_recounted", "Numbers changed by a new version of a meter.", registry=registry
        )
        self.blocked = gauge("periods_blocked", "Months that are due and wait for failed events.")
        self.refused = gauge("settings_refused", "Settings that are bad and not in force.")
        self._open = gauge("periods_open", "Months of tenants that are not closed.")
        self._waiting = gauge("quarantine_waiting", "Events whose time is not believed, and not decided on.")

    def look(self, tx: Connection) -> None:
        """The store as it stands."""
        still_open = select(func.count()).select_from(PERIOD).where(PERIOD.c.closed_us.is_(None))
        waiting = select(func.count()).select_from(QUARANTINE).where(QUARANTINE.c.state == "waiting")
        self._open.set(tx.execute(still_open).scalar_one())
        self._waiting.set(tx.execute(waiting).scalar_one())
