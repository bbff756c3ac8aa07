"""The dashboard of the cluster: topics, lag, replication and disks."""

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.deploy.alerts_of_kafka import DISK_USED_MAX
from trunkline.deploy.alerts_of_services import LAG_RECORDS_MAX, LAG_SECONDS_MAX
from trunkline.deploy.panel import Choice, Dashboard, Panel, Query, Row, Unit, dashboard_uid
from trunkline.deploy.scope import Scope

TOPIC = 'topic=~"$topic"'


def backbone(catalogue: Catalogue, environment: Environment, cluster: Cluster) -> Dashboard:
    """How the backbone of an environment is: one look for whoever is called."""
    scope = Scope(cluster)
    return Dashboard(
        uid=dashboard_uid(cluster.name, environment.name, "backbone"),
        title=f"Trunkline {environment.name}: backbone",
        choices=[Choice("topic", sorted(catalogue.topics))],
        rows=[
            _glance(scope, environment),
            _throughput(scope),
            _lag(scope),
            _replication(scope),
            _volumes(scope),
        ],
    )


def _glance(scope: Scope, environment: Environment) -> Row:
    offline = scope.controllers("kafka_controller_kafkacontroller_offlinepartitionscount")
    under = scope.brokers("kafka_server_replicamanager_underreplicatedpartitions")
    expiry = scope.operator("strimzi_certificate_expiration_timestamp_ms")

    def stat(title: str, expr: str, unit: Unit = Unit.COUNT, limit: float | None = None) -> Panel:
        return Panel(
            title=title, queries=[Query(expr, "")], unit=unit, latest=True, limit=limit, width=4, height=4
        )

    return Row(
        "At a glance",
        [
            stat(f"Brokers of {environment.brokers}", f"max({scope.exporter('kafka_brokers')})"),
            stat("Partitions without a leader", f"max({offline})", limit=1),
            stat("Under-replicated partitions", f"sum({under})", limit=1),
            stat(
                "Largest lag, records",
                f"max({scope.exporter('kafka_consumergroup_lag_sum')})",
                limit=LAG_RECORDS_MAX,
            ),
            stat(
                "Largest lag, time",
                f"max({scope.exporter('kafka_consumergroup_group_max_lag_seconds')})",
                Unit.SECONDS,
                LAG_SECONDS_MAX,
            ),
            stat("Certificates expire in", f"min({expiry}) / 1000 - time()", Unit.SECONDS),
        ],
    )


def _throughput(scope: Scope) -> Row:
    def rate(what: str) -> list[Query]:
        counter = scope.brokers(f"kafka_server_brokertopicmetrics_{what}persec_total", TOPIC)
        return [Query(f"sum by (topic) (rate({counter}[5m]))", "{{topic}}")]

    size = scope.brokers("kafka_log_log_size", TOPIC)
    count = scope.exporter("kafka_topic_partitions", TOPIC)
    duration = scope.brokers(
        "kafka_network_requestmetrics_totaltimems", 'quantile="0.99"', 'request=~"Produce|FetchConsumer"'
    )
    return Row(
        "Topics",
        [
            Panel(title="Events published", queries=rate("messagesin"), unit=Unit.COUNT_A_SECOND),
            Panel(title="Bytes published", queries=rate("bytesin"), unit=Unit.BYTES_A_SECOND),
            Panel(title="Bytes consumed", queries=rate("bytesout"), unit=Unit.BYTES_A_SECOND),
            Panel(
                title="Size on disk, all replicas",
                queries=[Query(f"sum by (topic) ({size})", "{{topic}}")],
                unit=Unit.BYTES,
            ),
            Panel(
                title="Partitions",
                queries=[Query(f"max by (topic) ({count})", "{{topic}}")],
                unit=Unit.COUNT,
                latest=True,
            ),
            Panel(
                title="Duration of requests, 99th percentile",
                text="A consumer's fetch waits for records, so its time is no measure of the broker.",
                queries=[Query(f"max by (pod, request) ({duration})", "{{request}} {{pod}}")],
                unit=Unit.MILLISECONDS,
            ),
        ],
    )


def _lag(scope: Scope) -> Row:
    records = scope.exporter("kafka_consumergroup_lag_sum", TOPIC)
    oldest = scope.exporter("kafka_consumergroup_group_max_lag_seconds")
    members = scope.exporter("kafka_consumergroup_members")
    return Row(
        "Lag",
        [
            Panel(
                title="Records not consumed",
                queries=[Query(f"max by (consumergroup, topic) ({records})", "{{consumergroup}} {{topic}}")],
                unit=Unit.COUNT,
                limit=LAG_RECORDS_MAX,
            ),
            Panel(
                title="Age of the oldest record not consumed",
                queries=[Query(f"max by (group) ({oldest})", "{{group}}")],
                unit=Unit.SECONDS,
                limit=LAG_SECONDS_MAX,
            ),
            Panel(
                title="Members of the groups",
                queries=[Query(f"max by (consumergroup) ({members})", "{{consumergroup}}")],
                unit=Unit.COUNT,
            ),
        ],
    )


def _replication(scope: Scope) -> Row:
    def by_node(series: str) -> list[Query]:
        return [Query(f"sum by (pod) ({series})", "{{pod}}")]

    return Row(
        "Replication",
        [
            Panel(
                title="Under-replicated partitions",
                queries=by_node(scope.brokers("kafka_server_replicamanager_underreplicatedpartitions")),
                unit=Unit.COUNT,
            ),
            Panel(
                title="Partitions with too few in-sync replicas",
                text="Nothing can be published to these.",
                queries=by_node(scope.brokers("kafka_server_replicamanager_underminisrpartitioncount")),
                unit=Unit.COUNT,
            ),
            Panel(
                title="Active controller",
                queries=by_node(scope.controllers("kafka_controller_kafkacontroller_activecontrollercount")),
                unit=Unit.COUNT,
            ),
        ],
    )


def _volumes(scope: Scope) -> Row:
    used = scope.volumes("kubelet_volume_stats_used_bytes")
    capacity = scope.volumes("kubelet_volume_stats_capacity_bytes")
    available = scope.volumes("kubelet_volume_stats_available_bytes")
    claim = "persistentvolumeclaim"
    return Row(
        "Disks",
        [
            Panel(
                title="Used share",
                queries=[Query(f"max by ({claim}) ({used} / {capacity})", f"{{{{{claim}}}}}")],
                unit=Unit.SHARE,
                limit=DISK_USED_MAX,
                width=12,
            ),
            Panel(
                title="Free",
                queries=[Query(f"min by ({claim}) ({available})", f"{{{{{claim}}}}}")],
                unit=Unit.BYTES,
                width=12,
            ),
        ],
    )
