"""What the service counts. All figures are of this process."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

PREFIX: Final = "trunkline_quality"


class Metrics:
    """Prometheus metrics of data quality."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ignored = Counter(
            f"{PREFIX}_events_ignored",
            "Events that do not count, by reason: too_old, future.",
            ["reason"],
            registry=registry,
        )
        self.late = Counter(
            f"{PREFIX}_late_events", "Events that came after their window had closed.", registry=registry
        )
        self.windows = Counter(f"{PREFIX}_windows_closed", "Windows closed and judged.", registry=registry)
        self.unreadable = Counter(
            f"{PREFIX}_statements_unreadable",
            "Statements that could not be read for checks, by engine; their events count all the same.",
            ["engine"],
            registry=registry,
        )
        self.emitted = Counter(
            f"{PREFIX}_events_emitted", "Events added to the outbox, by type.", ["type"], registry=registry
        )
        self.refused_settings = Gauge(
            f"{PREFIX}_settings_refused",
            "Settings that make no sense; those before them are in force.",
            registry=registry,
        )
