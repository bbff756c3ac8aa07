"""The Kafka resource: listeners, rights, broker settings, operators; and what rebalances it.

Broker settings are the contract's, as the default of every topic, with what the environment's `config:` adds.
Those that Strimzi would drop are refused by the catalogue (`trunkline.catalogue.broker_config`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.deploy import connecting
from trunkline.deploy.labels import PART_OF
from trunkline.deploy.network_policies import NAMESPACE_NAME
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.service_needs import is_any_scaled
from trunkline.deploy.strimzi import API_VERSION, is_disposable, strimzi_resource

CA_DAYS, CA_RENEWAL_DAYS = 365, 30
"""How long a certificate is valid, and how long before its end it is renewed."""

MINUTE_MS: Final = 60_000
OFFSETS_MARGIN_MS: Final = 7 * 24 * 60 * MINUTE_MS
"""So much longer than any event a group's offsets are kept once it has stopped. By Kafka's default of seven
days its lag would be forgotten, with the alerts on it, while its events are still there."""

MAINTENANCE: Final = "* * 2-4 ? * MON,TUE,WED,THU *"
"""A Quartz expression in UTC: nights after which somebody is at work."""

KEDA_NAMESPACE: Final = "keda"
KEDA_OPERATOR: Final = {"app": "keda-operator"}
"""Where KEDA's own chart and manifests install it, and the label of the pod that asks brokers for lag."""

REBALANCE_TEMPLATE: Final = "strimzi.io/rebalance-template"
METRICS_KEY: Final = "metrics.yaml"
METRICS_OF_CRUISE_CONTROL: Final = """\
lowercaseOutputName: true
rules:
  - pattern: kafka.cruisecontrol<name=(.+)><>(\\w+)
    name: kafka_cruisecontrol_$1_$2
    type: GAUGE
"""


def kafka(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """The Kafka; with Cruise Control also the template of its rebalances and what it exports."""
    kept = catalogue.environment(environment)
    listener = _listener(cluster, is_scaled=is_any_scaled(catalogue, environment, cluster))
    spec: dict[str, Any] = {
        "kafka": _brokers(kept, cluster, listener),
        "entityOperator": _entity_operator(kept),
        "clusterCa": _authority(),
        "clientsCa": _authority(),
    }
    if not is_disposable(kept):
        spec["maintenanceTimeWindows"] = [MAINTENANCE]
    if cluster.cruise_control:
        spec["cruiseControl"] = _cruise_control(cluster)
        yield _rebalance_template(cluster)
        yield _cruise_control_metrics(cluster)
    yield Resource(
        api_version=API_VERSION,
        kind="Kafka",
        name=cluster.name,
        namespace=cluster.namespace,
        body={"spec": spec},
        why=_why(kept, cluster),
    )


def broker_config(environment: Environment, cluster: Cluster) -> Mapping[str, str | int | bool]:
    """Every broker setting of the environment by Kafka's name."""
    replicas_of_all, in_sync = environment.replication_factor, environment.min_insync_replicas
    config: dict[str, str | int | bool] = {
        "allow.everyone.if.no.acl.found": False,
        "auto.create.topics.enable": False,
        "compression.type": environment.compression,
        "default.replication.factor": replicas_of_all,
        "log.retention.ms": environment.retention_ms,
        "message.max.bytes": environment.max_message_bytes,
        "min.insync.replicas": in_sync,
        "num.partitions": environment.default_partitions,
        "offsets.retention.minutes": (environment.retention_ms + OFFSETS_MARGIN_MS) // MINUTE_MS,
        "offsets.topic.replication.factor": replicas_of_all,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas_of_all,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.replication.factor": replicas_of_all,
        "unclean.leader.election.enable": False,
    }
    if cluster.rack_key is not None:
        config["replica.selector.class"] = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
    return {**config, **cluster.config}


def _brokers(environment: Environment, cluster: Cluster, listener: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "version": cluster.kafka_version,
        "metadataVersion": cluster.metadata_version,
        "listeners": [listener],
        "authorization": {"type": "simple"},
        "config": broker_config(environment, cluster),
        "metricsConfig": {"type": "strimziMetricsReporter"},
        "logging": _logging(("logger.authorizer.level", "INFO")),
    }
    if cluster.rack_key is not None:
        found["rack"] = {"type": "topology-label", "topologyKey": cluster.rack_key}
    return found


def _listener(cluster: Cluster, *, is_scaled: bool) -> dict[str, Any]:
    peers = [_peer(cluster.services_namespace, {PART_OF: "trunkline"})]
    if is_scaled:
        peers.append(_peer(KEDA_NAMESPACE, KEDA_OPERATOR))
    return {
        "name": "tls",
        "port": connecting.PORT,
        "type": "internal",
        "tls": True,
        "authentication": {"type": cluster.authentication.value},
        "networkPolicyPeers": peers,
    }


def _peer(namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}},
        "podSelector": {"matchLabels": labels},
    }


def _entity_operator(environment: Environment) -> dict[str, Any]:
    operator = {
        "logging": _logging(),
        "resources": {"requests": {"cpu": "100m", "memory": "384Mi"}, "limits": {"memory": "384Mi"}},
    }
    found: dict[str, Any] = {"topicOperator": operator, "userOperator": operator}
    if is_disposable(environment):
        setting = {"name": "STRIMZI_USE_FINALIZERS", "value": "false"}
        found["template"] = {"topicOperatorContainer": {"env": [setting]}}
    return found


def _logging(*more: tuple[str, str]) -> dict[str, Any]:
    return {"type": "inline", "loggers": {"rootLogger.level": "INFO", **dict(more)}}


def _authority() -> dict[str, Any]:
    return {"validityDays": CA_DAYS, "renewalDays": CA_RENEWAL_DAYS}


def _cruise_control(cluster: Cluster) -> dict[str, Any]:
    template = {"name": _rebalance_name(cluster)}
    return {
        "autoRebalance": [
            {"mode": "add-brokers", "template": template},
            {"mode": "remove-brokers", "template": template},
        ],
        "brokerCapacity": {"cpu": cluster.broker.cpu},
        "metricsConfig": {
            "type": "jmxPrometheusExporter",
            "valueFrom": {"configMapKeyRef": {"name": _metrics_name(cluster), "key": METRICS_KEY}},
        },
        "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    }


def _rebalance_template(cluster: Cluster) -> Resource:
    return strimzi_resource(
        "KafkaRebalance",
        _rebalance_name(cluster),
        cluster=cluster,
        annotations={REBALANCE_TEMPLATE: "true"},
        spec={},
        why={("spec",): "Cruise Control's own goals. A template: it moves nothing by itself."},
    )


def _cruise_control_metrics(cluster: Cluster) -> Resource:
    return Resource(
        api_version="v1",
        kind="ConfigMap",
        name=_metrics_name(cluster),
        namespace=cluster.namespace,
        labels={PART_OF: "trunkline"},
        body={"data": {METRICS_KEY: METRICS_OF_CRUISE_CONTROL}},
    )


def _rebalance_name(cluster: Cluster) -> str:
    return f"{cluster.name}-auto-rebalance"


def _metrics_name(cluster: Cluster) -> str:
    return f"{cluster.name}-cruise-control-metrics"


def _why(environment: Environment, cluster: Cluster) -> dict[Field, str]:
    brokers: Field = ("spec", "kafka")
    config: Field = (*brokers, "config")
    why: dict[Field, str] = {
        (*brokers, "version"): "Written out, so that an upgrade of the operator does not upgrade Kafka.",
        (*brokers, "metadataVersion"): "Raised after `version`, when the brokers have proven themselves: "
        "there is no way back.",
        (*brokers, "authorization"): "No superUsers: Strimzi's operators have what they need, and everybody "
        "else has a KafkaUser.",
        (*brokers, "listeners", 0, "networkPolicyPeers"): "Without peers any pod could connect. A policy of "
        "one's own cannot narrow this: policies add up.",
        (*brokers, "logging", "loggers"): "The authoriser tells at INFO whom it has denied what.",
        (*config, "allow.everyone.if.no.acl.found"): "A topic without rights is closed to all.",
        (*config, "log.retention.ms"): "Of topics that do not say otherwise; each KafkaTopic does.",
        (*config, "message.max.bytes"): "Of a record batch after compression, with its 12 bytes of overhead.",
        ("spec", "clientsCa"): "Of each service's certificate too.",
    }
    offsets: Field = (*config, "offsets.topic.replication.factor")
    if is_disposable(environment):
        why[offsets] = "Unset it is 3, and with fewer brokers no group could ever commit."
        why["spec", "entityOperator", "template"] = (
            "Otherwise a deleted namespace waits for ever for topics whose operator is gone."
        )
    else:
        why["spec", "maintenanceTimeWindows"] = "UTC. Restarts for certificates only; other changes go ahead."
    if cluster.rack_key is not None:
        why[*config, "replica.selector.class"] = (
            "For consumers that send `client.rack`; Trunkline's own do not yet."
        )
        why[*brokers, "rack"] = "Replicas of a partition in different zones."
    if cluster.cruise_control:
        why["spec", "cruiseControl", "autoRebalance"] = (
            "A broker that is added gets partitions, one that is removed is emptied first."
        )
        why["spec", "cruiseControl", "metricsConfig"] = "Strimzi's own reporter is not for Cruise Control."
    return why
