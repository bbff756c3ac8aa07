"""What an instance says about its configuration to Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class BroadcastMetrics:
    """The metrics of one instance in a registry."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        stale: Callable[[], bool],
        unconfirmed_seconds: Callable[[], float],
        entries: Callable[[], int],
    ) -> None:
        """The functions are asked when the metrics are read, so a thread that has died shows."""

        def gauge(name: str, text: str, function: Callable[[], float]) -> None:
            Gauge(f"trunkline_broadcast_{name}", text, registry=registry).set_function(function)

        gauge("stale", "1 while this instance does not know that its configuration is up to date.", stale)
        gauge(
            "unconfirmed_seconds",
            "Since this instance last knew that its configuration was up to date.",
            unconfirmed_seconds,
        )
        gauge("entries", "Values and flags in force.", entries)
        self._applied = Counter("trunkline_broadcast_events", "Config events read.", registry=registry)
        self._rejected = Counter(
            "trunkline_broadcast_rejected",
            "Records of the config topic that could not be applied.",
            ("reason",),
            registry=registry,
        )

    def read(self, events: int) -> None:
        """So many records were read."""
        self._applied.inc(events)

    def rejected(self, reason: str) -> None:
        """One of them could not be applied."""
        self._rejected.labels(reason).inc()
