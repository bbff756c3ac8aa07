"""What a publisher counts. The registry is the caller's; no label carries a tenant.

A histogram that is told of every event would cost as much as publishing it. So a burst of outcomes is counted
in plain integers, under the publisher's lock, and the registry asks for them when it is collected.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from trunkline.client.delivery import Delivered, Outcome
from trunkline.client.errors import DeliveryRejected

BUCKET_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0)
"""From a broker's own sync to the delivery time-out."""


class Standing(NamedTuple):
    """How it stands with a publisher now: events without an outcome, and lanes that wait behind a failure."""

    waiting: int
    held: int


class Published(Protocol):
    """What is read of a delivery: topic and tenant, and the monotonic time of publishing."""

    @property
    def lane(self) -> tuple[str, str]: ...
    @property
    def at(self) -> float: ...


class Publishing(Protocol):
    """Who is asked when the registry is collected."""

    def standing(self) -> Standing: ...


class PublisherMetrics(Collector):
    """One publisher's numbers in a registry.

    `settled` is not thread-safe: the publisher calls it under its lock. What is collected meanwhile may be
    one burst behind.
    """

    def __init__(self, registry: CollectorRegistry, service: str, publishing: Publishing) -> None:
        self._registry = registry
        self._service = service
        self._publishing = publishing
        self._events: Counter[tuple[str, str]] = Counter()
        self._buckets = [0] * (len(BUCKET_SECONDS) + 1)
        self._seconds = 0.0
        registry.register(self)

    def settled(self, settled: Iterable[tuple[Published, Outcome]], now: float) -> None:
        """These have an outcome since this monotonic time."""
        for delivery, outcome in settled:
            if isinstance(outcome, Delivered):
                seconds = now - delivery.at
                self._seconds += seconds
                self._buckets[bisect_left(BUCKET_SECONDS, seconds)] += 1
                self._events[delivery.lane[0], "delivered"] += 1
            else:
                what = "rejected" if isinstance(outcome, DeliveryRejected) else "unknown"
                self._events[delivery.lane[0], what] += 1

    def close(self) -> None:
        """Leave the registry: another publisher of the service may come."""
        self._registry.unregister(self)

    def describe(self) -> Iterator[Metric]:
        """The families without their values, so that registering does not ask the publisher."""
        return iter(self._families())

    def collect(self) -> Iterator[Metric]:
        """The families with their values."""
        events, seconds, waiting, held = self._families()
        for (topic, outcome), count in sorted(self._events.copy().items()):
            events.add_metric([self._service, topic, outcome], count)
        counts = list(accumulate(self._buckets))
        limits = [*map(str, BUCKET_SECONDS), "+Inf"]
        seconds.add_metric([self._service], list(zip(limits, counts, strict=True)), self._seconds)
        standing = self._publishing.standing()
        waiting.add_metric([self._service], standing.waiting)
        held.add_metric([self._service], standing.held)
        yield from (events, seconds, waiting, held)

    def _families(
        self,
    ) -> tuple[CounterMetricFamily, HistogramMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            CounterMetricFamily(
                "trunkline_publisher_events",
                "Events whose outcome is known: delivered, rejected or unknown.",
                labels=("service", "topic", "outcome"),
            ),
            HistogramMetricFamily(
                "trunkline_publisher_acknowledgement_seconds",
                "From publishing an event until it is in the log.",
                labels=("service",),
            ),
            GaugeMetricFamily(
                "trunkline_publisher_waiting_events",
                "Events that have no outcome yet.",
                labels=("service",),
            ),
            GaugeMetricFamily(
                "trunkline_publisher_held_lanes",
                "Tenants of a topic whose events wait behind one that failed.",
                labels=("service",),
            ),
        )
