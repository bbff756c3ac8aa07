"""What is watched of the cluster: its nodes, partitions, volumes, certificates and operators.

The series are Kafka's as Strimzi's metrics reporter writes them; `foreign_metrics` has them all.
"""

from collections.abc import Iterator
from typing import Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Environment
from trunkline.deploy.alert import Alert, Severity, grew
from trunkline.deploy.scope import Scope

DISK_USED_MAX: Final = 0.85
"""Of a volume. Above it there is no room for a reassignment, nor for a retention that lags behind."""

DAY_SECONDS: Final = 86_400

CERTIFICATE_DAYS_MIN: Final = 20
"""Strimzi renews 30 days before the end. Ten days later the renewal has failed, or waits for a window."""


def kafka_alerts(environment: Environment, cluster: Cluster) -> Iterator[Alert]:
    """The alerts on the cluster; those on replicas and single brokers only where there are several."""
    scope = Scope(cluster)
    yield from _partitions(scope)
    if environment.replication_factor > 1:
        yield from _replicas(scope)
    if environment.brokers > 1:
        yield _missing_broker(scope, environment)
    yield _not_scraped(scope, environment)
    yield from _volumes(scope)
    yield from _operators(scope)


def _partitions(scope: Scope) -> Iterator[Alert]:
    offline = scope.controllers("kafka_controller_kafkacontroller_offlinepartitionscount")
    active = scope.controllers("kafka_controller_kafkacontroller_activecontrollercount")
    lost = scope.brokers("kafka_server_replicamanager_offlinereplicacount")
    yield Alert(
        name="PartitionsOffline",
        expr=f"max({offline}) > 0",
        lasting="1m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} partitions have no leader and can be neither written nor read",
        action="Bring back the brokers that hold their replicas",
        why="The largest that any controller says: every one of them counts, and one may be behind.",
    )
    yield Alert(
        name="NoActiveController",
        expr=f"(sum({active}) or vector(0)) != 1",
        lasting="2m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} controllers are active instead of one",
        action="Look at the controllers' logs and whether most of them reach each other. Until one is active "
        "no leader is elected, and no topic or right can change",
        why="Without any series the sum is empty, and an empty result never fires.",
    )
    yield Alert(
        name="ReplicasOffline",
        expr=f"sum by (pod) ({lost}) > 0",
        lasting="1m",
        severity=Severity.CRITICAL,
        summary="{{ $labels.pod }} has lost {{ $value }} replicas with a log directory",
        action="The volume has failed or is full: look at the broker's log, then at the volume",
        why="Not the count of offline log directories, which Strimzi's reporter leaves out by default.",
    )


def _replicas(scope: Scope) -> Iterator[Alert]:
    under_replicated = scope.brokers("kafka_server_replicamanager_underreplicatedpartitions")
    under_minimum = scope.brokers("kafka_server_replicamanager_underminisrpartitioncount")
    unclean = scope.controllers("kafka_controller_controllerstats_uncleanleaderelectionspersec_total")
    yield Alert(
        name="UnderReplicated",
        expr=f"sum by (pod) ({under_replicated}) > 0",
        lasting="15m",
        severity=Severity.WARNING,
        summary="{{ $value }} partitions led by {{ $labels.pod }} lack an in-sync replica",
        action="See which broker is away or slow. Publishing goes on while the minimum is in sync",
        why="Longer than a broker takes to come back in a rolling update.",
    )
    yield Alert(
        name="UnderMinInSync",
        expr=f"sum by (pod) ({under_minimum}) > 0",
        lasting="2m",
        severity=Severity.CRITICAL,
        summary="{{ $value }} partitions led by {{ $labels.pod }} have fewer in-sync replicas than they need",
        action="Nothing can be published to them: bring back the brokers that hold the other replicas",
    )
    yield Alert(
        name="UncleanElection",
        expr=grew(unclean, "namespace", within="15m"),
        lasting="0s",
        severity=Severity.CRITICAL,
        summary="A replica that was not in sync has become a leader: acknowledged events are lost",
        action="Find the topic in the controllers' logs, and publish again what its publisher still has",
        why="No topic of the contract allows it, so somebody has changed a setting or forced an election.",
    )


def _missing_broker(scope: Scope, environment: Environment) -> Alert:
    """Of several: without the only one nobody could say so, and `ExporterDown` fires."""
    return Alert(
        name="BrokerMissing",
        expr=f"max({scope.exporter('kafka_brokers')}) < {environment.brokers}",
        lasting="5m",
        severity=Severity.CRITICAL,
        summary=f"The cluster has {{{{ $value }}}} brokers of {environment.brokers}",
        action="Look at the brokers' pods and at the cluster operator's log",
        why="As the cluster tells its clients: a broker may run and yet be no part of it.",
    )


def _not_scraped(scope: Scope, environment: Environment) -> Alert:
    nodes = environment.brokers + scope.cluster.controllers
    scraped = scope.kafka("up", 'strimzi_io_component_type="kafka"')
    return Alert(
        name="KafkaNotScraped",
        expr=f"(sum({scraped}) or vector(0)) < {nodes}",
        lasting="10m",
        severity=Severity.WARNING,
        summary=f"{{{{ $value }}}} Kafka nodes of {nodes} give their metrics",
        action="A node is down, or Prometheus may not reach its port 9404: it is not watched",
        why="By number: a pod that is gone is no target that could be down.",
    )


def _volumes(scope: Scope) -> Iterator[Alert]:
    used = scope.volumes("kubelet_volume_stats_used_bytes")
    capacity = scope.volumes("kubelet_volume_stats_capacity_bytes")
    available = scope.volumes("kubelet_volume_stats_available_bytes")
    share = f"max by (persistentvolumeclaim) ({used} / {capacity})"
    yield Alert(
        name="DiskNearlyFull",
        expr=f"{share} > {DISK_USED_MAX}",
        lasting="10m",
        severity=Severity.CRITICAL,
        summary="{{ $labels.persistentvolumeclaim }} is {{ $value | humanizePercentage }} full",
        action="Enlarge it, or shorten a retention if it is a broker's: who has a full volume stops",
        why="Strimzi's own rule matches claims of pools named `kafka` only.",
    )
    yield Alert(
        name="DiskFilling",
        expr=f"{share} > 0.5 and"
        f" min by (persistentvolumeclaim) (predict_linear({available}[6h], {DAY_SECONDS})) < 0",
        lasting="1h",
        severity=Severity.WARNING,
        summary="{{ $labels.persistentvolumeclaim }} is {{ $value | humanizePercentage }} full and will be "
        "entirely within a day",
        action="See what grows: of a broker's, which topic. Enlarge it, or stop what fills it",
        why="A new volume fills up to its retention; below a half there is time to see whether it stops.",
    )


def _operators(scope: Scope) -> Iterator[Alert]:
    expiry = scope.operator("strimzi_certificate_expiration_timestamp_ms")
    failed = scope.kafka("strimzi_reconciliations_failed_total", 'kind=~"KafkaTopic|KafkaUser"')
    refused = scope.reconciled("strimzi_reconciliations_failed_total", 'kind="Kafka"')
    yield Alert(
        name="CertificateExpires",
        expr=f"min by (type) ({expiry}) / 1000 - time() < {CERTIFICATE_DAYS_MIN * DAY_SECONDS}",
        lasting="1h",
        severity=Severity.CRITICAL,
        summary="The certificate authority {{ $labels.type }} expires in {{ $value | humanizeDuration }}",
        action="Strimzi should have renewed it: look at the cluster operator's log and at the maintenance "
        "windows",
        why="Strimzi renews 30 days before the end; this leaves it ten of them.",
    )
    yield Alert(
        name="CertificatesUnwatched",
        expr=f"absent({expiry})",
        lasting="1h",
        severity=Severity.WARNING,
        summary="The cluster operator says nothing of this cluster's certificates",
        action="See whether the cluster operator runs, watches this namespace and is scraped",
    )
    yield Alert(
        name="KafkaNotReconciled",
        expr=f"sum(increase({refused}[30m])) > 2",
        lasting="15m",
        severity=Severity.CRITICAL,
        summary="The cluster operator cannot make the cluster what its Kafka resource says",
        action="`kubectl describe kafka` says why in its conditions. What runs goes on, and nothing is "
        "changed, renewed or mended any more",
        why="What the operator refuses by itself, such as a version it does not know, is told nowhere else.",
    )
    yield Alert(
        name="ResourcesNotApplied",
        expr=f"sum by (kind) (increase({failed}[30m])) > 2",
        lasting="15m",
        severity=Severity.WARNING,
        summary="An operator cannot apply a {{ $labels.kind }}",
        action="Of those that `kubectl get` lists, the one that is not ready says why in its status",
        why="Tried every two minutes; what fails once while a broker restarts is put right by the next try.",
    )
