"""What a relay counts. The registry is the caller's; no label carries a tenant."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from trunkline.client.outbox.rows import Status


class RelayMetrics:
    """One relay's numbers in a registry."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        def gauge(name: str, text: str) -> Gauge:
            metric = Gauge(f"trunkline_outbox_{name}", text, ("service",), registry=registry)
            return metric.labels(service)

        self._service = service
        self.published = Counter(
            "trunkline_outbox_published", "Events that are in the log.", ("service",), registry=registry
        ).labels(service)
        self._failures = Counter(
            "trunkline_outbox_failures",
            "Attempts that failed: refused, or of unknown outcome.",
            ("service", "outcome"),
            registry=registry,
        )
        self._pending = gauge("pending_events", "Events in the outbox, up to 100000.")
        self._oldest = gauge("oldest_age_seconds", "Age of the oldest event in the outbox.")
        self._stuck = gauge("stuck_tenants", "Tenants that wait behind a refused event.")
        self.lanes = gauge("lanes", "Hash lanes that this relay serves.")

    def failed(self, *, refused: bool) -> None:
        """One attempt failed."""
        self._failures.labels(self._service, "refused" if refused else "unknown").inc()

    def look(self, status: Status, *, now_ms: int) -> None:
        """The outbox as it stands."""
        self._pending.set(status.pending)
        self._oldest.set(0 if status.oldest_ms is None else max(0, now_ms - status.oldest_ms) / 1000)
        self._stuck.set(status.stuck)
