"""The cluster and its consumer groups as Prometheus metrics, computed when they are scraped.

The names and labels are those that dashboards and alerts already use: kafka_exporter's, which Strimzi
deploys, and kafka-lag-exporter's for the lag in seconds. What has no such name begins with
`trunkline_exporter_`. All are gauges; no label carries a tenant.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin, ClusterState, Partition
from trunkline.client.lag import Lag, lag_of, read_by
from trunkline.client.log import Log
from trunkline.client.time_lag import TimeLag

CACHE_SECONDS: Final = 5.0
"""Scrapes within so many seconds share one look at the cluster, and so does one that failed."""

GROUPS_MAX: Final = 500
"""Every group costs requests. The contract's come first, and how many were left out is told."""

Samples: TypeAlias = list[tuple[tuple[str, ...], float]]

_log = Log("trunkline.exporter")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it says, and its labels."""

    name: str
    text: str
    labels: tuple[str, ...] = ()


_PARTITION: Final = ("topic", "partition")
_GROUP: Final = ("consumergroup",)

FAMILIES: Final = (
    Family("kafka_brokers", "Brokers that are up."),
    Family("kafka_broker_info", "1 for each broker that is up.", ("id", "address")),
    Family("kafka_topic_partitions", "Partitions of the topic.", ("topic",)),
    Family("kafka_topic_partition_current_offset", "The offset behind the last record.", _PARTITION),
    Family("kafka_topic_partition_oldest_offset", "The offset of the first record.", _PARTITION),
    Family("kafka_topic_partition_leader", "The leader's id, -1 while there is none.", _PARTITION),
    Family("kafka_topic_partition_leader_is_preferred", "1 if the first replica leads.", _PARTITION),
    Family("kafka_topic_partition_replicas", "Replicas that there should be.", _PARTITION),
    Family("kafka_topic_partition_in_sync_replica", "In-sync replicas.", _PARTITION),
    Family("kafka_topic_partition_under_replicated_partition", "1 if a replica is behind.", _PARTITION),
    Family("kafka_consumergroup_members", "Members of the group.", _GROUP),
    Family("kafka_consumergroup_current_offset", "The committed offset.", (*_GROUP, *_PARTITION)),
    Family(
        "kafka_consumergroup_current_offset_sum", "Committed offsets of all partitions.", (*_GROUP, "topic")
    ),
    Family("kafka_consumergroup_lag", "Records not consumed.", (*_GROUP, *_PARTITION)),
    Family("kafka_consumergroup_lag_sum", "Records not consumed in all partitions.", (*_GROUP, "topic")),
    Family(
        "kafka_consumergroup_group_lag_seconds",
        "Age of the first record not consumed, 0 if there is none.",
        ("group", *_PARTITION),
    ),
    Family(
        "kafka_consumergroup_group_max_lag_seconds",
        "Age of the oldest record not consumed in any partition.",
        ("group",),
    ),
    Family("trunkline_exporter_up", "1 if the last look at the cluster succeeded."),
    Family("trunkline_exporter_look_seconds", "How long the last look at the cluster took."),
    Family("trunkline_exporter_unread_positions", "Lags whose age could not be read, or not in time."),
    Family("trunkline_exporter_omitted_groups", "Consumer groups beyond the exporter's bound."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one look at the cluster has found."""

    cluster: ClusterState
    bounds: Mapping[Partition, tuple[int, int]]
    members: Mapping[str, int]
    lags: tuple[Lag, ...]
    omitted_groups: int = 0


class ClusterCollector(Collector):
    """Looks at a cluster when it is scraped. Thread-safe; never raises while it is scraped.

    When the cluster cannot be looked at, `trunkline_exporter_up` is 0 and the metrics of the cluster are
    absent: old figures would look like good ones.
    """

    def __init__(
        self,
        connection: ConnectionOptions,
        catalogue: Catalogue,
        *,
        cache_seconds: float = CACHE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._admin = Admin(admin_config(connection))
        self._time_lag = TimeLag(connection)
        self._catalogue = catalogue
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._families: list[GaugeMetricFamily] = []
        self._due = 0.0
        self._refusals: dict[str, str] = {}

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The names alone, so that registering this does not wait for the cluster."""
        return [GaugeMetricFamily(family.name, family.text) for family in FAMILIES]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All metrics, at most `cache_seconds` old."""
        with self._lock:
            if self._monotonic() >= self._due:
                self._families = self._look()
                self._due = self._monotonic() + self._cache_seconds
            return self._families

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._time_lag.close()

    def _look(self) -> list[GaugeMetricFamily]:
        began = self._monotonic()
        samples: dict[str, Samples] = {}
        try:
            view = observe(self._admin, self._catalogue)
            lags = tuple(self._time_lag.measure(view.lags, now=self._wall()))
            samples = samples_of(view, lags)
            self._tell_refusals()
        except Exception as error:  # noqa: BLE001 - a scrape gets an answer, and `up` says what it is worth
            _log.warning("cannot look at the cluster", error=str(error))
            self._time_lag.close()
        samples["trunkline_exporter_up"] = [((), float(bool(samples)))]
        samples["trunkline_exporter_look_seconds"] = [((), self._monotonic() - began)]
        return list(_families(samples))

    def _tell_refusals(self) -> None:
        """A topic that may not be read has lags in records and none in seconds: worth one line, once."""
        for topic in self._time_lag.refusals.keys() - self._refusals.keys():
            _log.warning("cannot read how old lags are", topic=topic, error=self._time_lag.refusals[topic])
        self._refusals = dict(self._time_lag.refusals)


def observe(admin: Admin, catalogue: Catalogue) -> View:
    """Look at the cluster once. Raises `ClusterUnavailable` and `KafkaFailed`.

    Partitions without a leader cannot tell their offsets and have none here.
    """
    cluster = admin.cluster()
    present = sorted(set(admin.groups()), key=lambda name: (name not in catalogue.services, name))
    groups = present[:GROUPS_MAX]
    members = admin.member_counts(groups)
    committed = admin.committed_by(groups)
    led = {key for key, partition in cluster.partitions.items() if partition.leader >= 0}
    bounds = admin.offsets(led)
    counts = partition_counts(cluster)
    lags = [
        lag_of(name, key, committed=offsets.get(key), bounds=bounds[key])
        for name, offsets in committed.items()
        for key in sorted(read_by(catalogue, name, counts=counts, committed=offsets) & led)
    ]
    return View(
        cluster=cluster,
        bounds=bounds,
        members=members,
        lags=tuple(lags),
        omitted_groups=len(present) - len(groups),
    )


def partition_counts(cluster: ClusterState) -> dict[str, int]:
    """How many partitions each topic has."""
    counts: dict[str, int] = {}
    for topic, _ in cluster.partitions:
        counts[topic] = counts.get(topic, 0) + 1
    return counts


def samples_of(view: View, lags: Iterable[Lag]) -> dict[str, Samples]:
    """The samples of a look by the name of their metric; `lags` are the view's, with their seconds."""
    return {**_cluster_samples(view), **_group_samples(view, list(lags))}


def _cluster_samples(view: View) -> dict[str, Samples]:
    cluster = view.cluster
    partitions = [
        ((topic, str(number)), found) for (topic, number), found in sorted(cluster.partitions.items())
    ]
    bounds = [((topic, str(number)), found) for (topic, number), found in sorted(view.bounds.items())]
    return {
        "kafka_brokers": [((), len(cluster.brokers))],
        "kafka_broker_info": [
            ((str(number), address), 1) for number, address in sorted(cluster.brokers.items())
        ],
        "kafka_topic_partitions": [((topic,), count) for topic, count in partition_counts(cluster).items()],
        "kafka_topic_partition_current_offset": [(labels, end) for labels, (_, end) in bounds],
        "kafka_topic_partition_oldest_offset": [(labels, low) for labels, (low, _) in bounds],
        "kafka_topic_partition_leader": [(labels, found.leader) for labels, found in partitions],
        "kafka_topic_partition_leader_is_preferred": [
            (labels, found.replicas[:1] == (found.leader,)) for labels, found in partitions
        ],
        "kafka_topic_partition_replicas": [(labels, len(found.replicas)) for labels, found in partitions],
        "kafka_topic_partition_in_sync_replica": [
            (labels, len(found.in_sync)) for labels, found in partitions
        ],
        "kafka_topic_partition_under_replicated_partition": [
            (labels, len(found.in_sync) < len(found.replicas)) for labels, found in partitions
        ],
    }


def _group_samples(view: View, lags: list[Lag]) -> dict[str, Samples]:
    behind: dict[tuple[str, ...], float] = {}
    committed: dict[tuple[str, ...], float] = {}
    oldest: dict[tuple[str, ...], float] = {}
    for lag in lags:
        of_topic = (lag.group, lag.topic)
        behind[of_topic] = behind.get(of_topic, 0) + lag.lag
        if lag.committed is not None:
            committed[of_topic] = committed.get(of_topic, 0) + lag.committed
        if lag.seconds is not None:
            oldest[lag.group,] = max(oldest.get((lag.group,), 0), lag.seconds)
    return {
        "kafka_consumergroup_members": [((name,), count) for name, count in sorted(view.members.items())],
        "kafka_consumergroup_current_offset": [
            (_labels(lag), lag.committed) for lag in lags if lag.committed is not None
        ],
        "kafka_consumergroup_current_offset_sum": list(committed.items()),
        "kafka_consumergroup_lag": [(_labels(lag), lag.lag) for lag in lags],
        "kafka_consumergroup_lag_sum": list(behind.items()),
        "kafka_consumergroup_group_lag_seconds": [
            (_labels(lag), lag.seconds) for lag in lags if lag.seconds is not None
        ],
        "kafka_consumergroup_group_max_lag_seconds": list(oldest.items()),
        "trunkline_exporter_unread_positions": [((), sum(lag.seconds is None for lag in lags))],
        "trunkline_exporter_omitted_groups": [((), view.omitted_groups)],
    }


def _labels(lag: Lag) -> tuple[str, ...]:
    return lag.group, lag.topic, str(lag.partition)


def _families(samples: Mapping[str, Samples]) -> Iterator[GaugeMetricFamily]:
    for family in FAMILIES:
        if family.name in samples:
            made = GaugeMetricFamily(family.name, family.text, labels=family.labels)
            for labels, value in samples[family.name]:
                made.add_metric(labels, value)
            yield made
