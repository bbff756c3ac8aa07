"""What the config service says about itself to Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from trunkline.services.config.plans import Status

_PREFIX: Final = "trunkline_config"


class ConfigMetrics:
    """The metrics of one instance in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.entries = Gauge(f"{_PREFIX}_entries", "Values and flags that are set.", registry=registry)
        self.waiting = Gauge(
            f"{_PREFIX}_plans_waiting", "Changes that wait for their time or for approval.", registry=registry
        )
        self._plans = Counter(
            f"{_PREFIX}_plans_settled",
            "Planned changes by what became of them.",
            ("status",),
            registry=registry,
        )
        self.published = Counter(
            f"{_PREFIX}_redis_published", "Changes repeated on the Redis channel.", registry=registry
        )
        self.dropped = Counter(
            f"{_PREFIX}_redis_dropped",
            "Changes that were not repeated because Redis was away for too long.",
            registry=registry,
        )
        self.failures = Counter(
            f"{_PREFIX}_redis_failures", "Attempts to reach Redis that failed.", registry=registry
        )
        self.connected = Gauge(
            f"{_PREFIX}_redis_connected", "1 while this instance repeats changes on Redis.", registry=registry
        )

    def settled(self, status: Status) -> None:
        """A plan has come to its end."""
        self._plans.labels(status).inc()
