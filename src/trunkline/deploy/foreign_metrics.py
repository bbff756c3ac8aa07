"""The metrics that alerts and dashboards use and that somebody else exports, each with where it is from.

Strimzi's metrics reporter writes a Kafka MBean `GROUP:type=TYPE,name=NAME` as `group_type_name` in lower
case; a meter is a counter and ends in `_total`, a histogram is a summary, and the MBean's other properties
are labels (strimzi/metrics-reporter: YammerMetricWrapper.java, YammerCollector.java). What the brokers count
is in Apache Kafka's documentation, "Monitoring".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

STRIMZI_DEFAULT_ALLOW_LIST: Final = (
    r"kafka_cluster_partition.*",
    r"kafka_controller_kafkacontroller.*",
    r"kafka_controller_controllerstats_uncleanleaderelectionspersec",
    r"kafka_log_log_size",
    r"kafka_network_requestmetrics.*",
    r"kafka_network_socketserver_networkprocessoravgidlepercent",
    r"kafka_server_app_info.*",
    r"kafka_server_brokertopicmetrics.*",
    r"kafka_server_kafkarequesthandlerpool_requesthandleravgidlepercent",
    r"kafka_server_kafkaserver_brokerstate",
    r"kafka_server_kafkaserver_clusterid",
    r"kafka_server_kafkaserver_linux.*",
    r"kafka_server_raft.*",
    r"kafka_server_replicamanager.*",
    r"kafka_server_request_queue_size",
    r"kafka_server_socket_server.*",
)
"""What the reporter exports of a Kafka node unless the Kafka resource lists something else (Strimzi 1.2.0,
KafkaCluster.java). A name outside of it has no series, and an alert on it never fires."""


@dataclass(frozen=True, slots=True)
class ForeignMetric:
    """Its type, its labels beside those of the scrape, its unit or meaning, and where it is defined."""

    type: str
    labels: tuple[str, ...]
    meaning: str
    source: str


_KAFKA: Final = "Kafka"
_STRIMZI: Final = "Strimzi"
_KUBELET: Final = "kubelet"
_STATE: Final = "kube-state-metrics"
_PROMETHEUS: Final = "Prometheus"
_CLAIM: Final = ("namespace", "persistentvolumeclaim")

FOREIGN_METRICS: Final[Mapping[str, ForeignMetric]] = MappingProxyType(
    {
        "kafka_controller_controllerstats_uncleanleaderelectionspersec_total": ForeignMetric(
            "counter", (), "Leaders elected that were not in sync.", _KAFKA
        ),
        "kafka_controller_kafkacontroller_activecontrollercount": ForeignMetric(
            "gauge", (), "1 on the active controller, 0 on the others.", _KAFKA
        ),
        "kafka_controller_kafkacontroller_offlinepartitionscount": ForeignMetric(
            "gauge", (), "Partitions without a leader, as this controller knows.", _KAFKA
        ),
        "kafka_log_log_size": ForeignMetric(
            "gauge", ("topic", "partition"), "Bytes of a replica on this broker.", _KAFKA
        ),
        "kafka_network_requestmetrics_totaltimems": ForeignMetric(
            "summary", ("request", "quantile"), "Milliseconds from a request's arrival to its answer.", _KAFKA
        ),
        "kafka_server_brokertopicmetrics_bytesinpersec_total": ForeignMetric(
            "counter", ("topic",), "Bytes published; without a topic, of all of them.", _KAFKA
        ),
        "kafka_server_brokertopicmetrics_bytesoutpersec_total": ForeignMetric(
            "counter", ("topic",), "Bytes consumed; without a topic, of all of them.", _KAFKA
        ),
        "kafka_server_brokertopicmetrics_messagesinpersec_total": ForeignMetric(
            "counter", ("topic",), "Records published; without a topic, of all of them.", _KAFKA
        ),
        "kafka_server_replicamanager_offlinereplicacount": ForeignMetric(
            "gauge", (), "Replicas in log directories that have failed.", _KAFKA
        ),
        "kafka_server_replicamanager_underminisrpartitioncount": ForeignMetric(
            "gauge", (), "Partitions led here with fewer in-sync replicas than min.insync.replicas.", _KAFKA
        ),
        "kafka_server_replicamanager_underreplicatedpartitions": ForeignMetric(
            "gauge", (), "Partitions led here that lack an in-sync replica.", _KAFKA
        ),
        "kube_deployment_status_replicas_unavailable": ForeignMetric(
            "gauge",
            ("namespace", "deployment"),
            "Pods that a Deployment lacks or that are not ready.",
            _STATE,
        ),
        "kube_pod_container_status_restarts_total": ForeignMetric(
            "counter", ("namespace", "pod", "container"), "Restarts of a container.", _STATE
        ),
        "kubelet_volume_stats_available_bytes": ForeignMetric(
            "gauge", _CLAIM, "Bytes that are free on a volume.", _KUBELET
        ),
        "kubelet_volume_stats_capacity_bytes": ForeignMetric("gauge", _CLAIM, "Bytes of a volume.", _KUBELET),
        "kubelet_volume_stats_used_bytes": ForeignMetric(
            "gauge", _CLAIM, "Bytes that are used on a volume.", _KUBELET
        ),
        "strimzi_certificate_expiration_timestamp_ms": ForeignMetric(
            "gauge",
            ("cluster", "type", "resource_namespace"),
            "When the certificate of a cluster's authority expires, in milliseconds since 1970.",
            _STRIMZI,
        ),
        "strimzi_reconciliations_failed_total": ForeignMetric(
            "counter", ("kind",), "Attempts of an operator that failed.", _STRIMZI
        ),
        "up": ForeignMetric("gauge", (), "1 if the last scrape of a pod succeeded.", _PROMETHEUS),
    }
)
