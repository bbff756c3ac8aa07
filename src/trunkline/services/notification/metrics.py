"""What the service counts for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Metrics:
    """The service's metrics in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter(
            "trunkline_notification_decisions",
            "Decisions of rules on events, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        self._attempts = Counter(
            "trunkline_notification_attempts",
            "Attempts to deliver, by kind of channel and outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self._first = Histogram(
            "trunkline_notification_first_attempt_seconds",
            "From when a delivery was due to the end of its first attempt.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._render_failed = Counter(
            "trunkline_notification_render_failed",
            "Notifications that could not be rendered.",
            registry=registry,
        )
        self._refused = Gauge(
            "trunkline_notification_settings_refused",
            "Settings in force that could not be understood; what was in force before them still is.",
            registry=registry,
        )
        self._disabled = Counter(
            "trunkline_notification_endpoints_disabled",
            "Endpoints that were disabled, gone or failing for too long.",
            registry=registry,
        )

    def decided(self, outcome: str) -> None:
        """A rule decided on an event."""
        self._decisions.labels(outcome).inc()

    def attempted(self, kind: str, outcome: str) -> None:
        """An attempt to deliver ended."""
        self._attempts.labels(kind, outcome).inc()

    def began(self, seconds: float) -> None:
        """A delivery was first attempted so long after it was due."""
        self._first.observe(seconds)

    def render_failed(self) -> None:
        """A notification could not be rendered."""
        self._render_failed.inc()

    def refused_settings(self, number: int) -> None:
        """So many settings are refused at present."""
        self._refused.set(number)

    def disabled_endpoint(self) -> None:
        """An endpoint was disabled."""
        self._disabled.inc()
