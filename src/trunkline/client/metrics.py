"""What a consumer and a publisher count. The registry is the caller's; no label carries a tenant."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ConsumerMetrics:
    """One consumer group's counters in a registry."""

    def __init__(self, registry: CollectorRegistry, group: str) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"trunkline_consumer_{name}", text, ("group", *labels), registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            metric = Gauge(f"trunkline_consumer_{name}", text, ("group",), registry=registry)
            return metric.labels(group)

        self._group = group
        self._consumed = counter("events", "Records whose outcome is final in the store.", "topic")
        self._duplicates = counter("duplicates", "Events that had been processed before.", "topic")
        self._failures = counter("failures", "Records put into the failure ledger.", "topic", "reason")
        self._batches = counter("batches", "Transactions committed.").labels(group)
        self._fenced = counter("fenced", "Batches given up because another member had them.").labels(group)
        self._expired = counter("expired", "Records deleted by retention before they were read.", "topic")
        self._commit_failures = counter("commit_failures", "Offset commits that did not take.", "reason")
        self.paused = gauge("paused_partitions", "Partitions whose batch waits for store or network.")
        self.breaker_open = gauge("breaker_open", "1 after too many failures in a row stopped the consumer.")
        self.in_progress = gauge("batches_in_progress", "Transactions begun and not ended.")
        self.handler_seconds = Histogram(
            "trunkline_consumer_batch_seconds",
            "One transaction, from its begin to its commit.",
            ("group",),
            registry=registry,
        ).labels(group)

    def batch(self, topic: str, *, records: int, duplicates: int) -> None:
        """A transaction was committed."""
        self._batches.inc()
        self._consumed.labels(self._group, topic).inc(records)
        if duplicates:
            self._duplicates.labels(self._group, topic).inc(duplicates)

    def failure(self, topic: str, reason: str) -> None:
        """A record went into the ledger."""
        self._failures.labels(self._group, topic, reason).inc()

    def fenced(self) -> None:
        """A batch was rolled back because the position had moved."""
        self._fenced.inc()

    def expired(self, topic: str, records: int) -> None:
        """Retention was faster than this consumer."""
        self._expired.labels(self._group, topic).inc(records)

    def commit_failed(self, reason: str) -> None:
        """Kafka did not take an offset; the store's position is not affected."""
        self._commit_failures.labels(self._group, reason).inc()
