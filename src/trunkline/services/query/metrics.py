"""What the query engine says of its queries to Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class QueryMetrics:
    """The metrics of one instance in a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "trunkline_query_queries",
            "Queries that have ended, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._planned = Histogram(
            "trunkline_query_plan_seconds",
            "From a statement to the decision and the rewritten statement.",
            buckets=(0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 1.0),
            registry=registry,
        )

    def ended(self, outcome: str) -> None:
        """A query was completed, failed, cancelled or denied."""
        self._ended.labels(outcome).inc()

    def planned(self, seconds: float) -> None:
        """A decision took so long."""
        self._planned.observe(seconds)
