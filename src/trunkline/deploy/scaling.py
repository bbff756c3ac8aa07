"""KEDA's ScaledObjects: more pods for a service whose group is behind (keda.sh/v1alpha1, KEDA 2.17 or newer).

One trigger without a topic: KEDA then adds up the lag of all topics of the group. A trigger for each topic
would take the largest only. Fields: https://keda.sh/docs/2.17/scalers/apache-kafka/.
"""

from collections.abc import Iterable
from typing import Any, Final

from trunkline.catalogue.cluster import Authentication, Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy import connecting
from trunkline.deploy.labels import CONTAINER, service_labels
from trunkline.deploy.resource import Resource
from trunkline.deploy.service_needs import Replicas, replicas, runnable

API_VERSION: Final = "keda.sh/v1alpha1"

LAG_PER_POD: Final = 1_000
"""A tenth of the lag that is alerted on: what more pods can catch up with wakes nobody."""

POLL_SECONDS: Final = 30
CALM_SECONDS: Final = 600
"""How long lag must stay low before a pod goes: each one that goes makes the group share out anew."""

PROTOCOL_VERSION: Final = "3.9.0"
"""Of the requests that KEDA sends. Kafka 4 no longer answers those of its default, 1.0.0 (KIP-896)."""


def scaling(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """A ScaledObject and a TriggerAuthentication for each service that may have more than its fewest pods."""
    for service in runnable(catalogue):
        allowed = replicas(catalogue, environment, cluster, service)
        if allowed.are_scaled:
            yield _authentication(service, cluster)
            yield _scaled_object(service, cluster, allowed)


def _authentication(service: str, cluster: Cluster) -> Resource:
    """KEDA asks as the service itself, which may describe its group and its topics."""
    secrets = [_from_secret("ca", connecting.ca_secret(cluster), "ca.crt")]
    spec: dict[str, Any] = {"secretTargetRef": secrets}
    if cluster.authentication is Authentication.TLS:
        secrets += [_from_secret("cert", service, "user.crt"), _from_secret("key", service, "user.key")]
    else:
        secrets.append(_from_secret("password", service, "password"))
        spec["env"] = [
            {"parameter": "username", "name": "TRUNKLINE_SASL_USERNAME", "containerName": CONTAINER}
        ]
    return Resource(
        api_version=API_VERSION,
        kind="TriggerAuthentication",
        name=service,
        namespace=cluster.services_namespace,
        labels=service_labels(service),
        body={"spec": spec},
    )


def _from_secret(parameter: str, name: str, key: str) -> dict[str, str]:
    return {"parameter": parameter, "name": name, "key": key}


def _scaled_object(service: str, cluster: Cluster, allowed: Replicas) -> Resource:
    spec = {
        "scaleTargetRef": {"name": service},
        "pollingInterval": POLL_SECONDS,
        "minReplicaCount": allowed.least,
        "maxReplicaCount": allowed.most,
        "fallback": {
            "failureThreshold": 5,
            "replicas": allowed.least,
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "behavior": {
                    "scaleDown": {
                        "stabilizationWindowSeconds": CALM_SECONDS,
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                    }
                }
            }
        },
        "triggers": [
            {
                "type": "kafka",
                "metadata": _trigger(service, cluster),
                "authenticationRef": {"name": service},
            }
        ],
    }
    return Resource(
        api_version=API_VERSION,
        kind="ScaledObject",
        name=service,
        namespace=cluster.services_namespace,
        labels=service_labels(service),
        body={"spec": spec},
        why={
            ("spec", "maxReplicaCount"): "The partitions of all topics that the group shares; "
            "a pod beyond would have none.",
            ("spec", "minReplicaCount"): "Never 0: every service also has an API and follows the "
            "configuration.",
            ("spec", "fallback"): "While KEDA cannot ask the cluster, no pod is taken away.",
            ("spec", "triggers", 0, "metadata", "version"): "KEDA's default, 1.0.0, is older than what "
            "Kafka 4 answers (KIP-896).",
            ("spec", "triggers", 0, "metadata", "offsetResetPolicy"): "As the services read: a partition "
            "without a committed offset is behind by all it has.",
        },
    )


def _trigger(service: str, cluster: Cluster) -> dict[str, str]:
    """KEDA takes texts only."""
    found = {
        "bootstrapServers": connecting.bootstrap_servers(cluster),
        "consumerGroup": service,
        "lagThreshold": str(LAG_PER_POD),
        "offsetResetPolicy": "earliest",
        "allowIdleConsumers": "false",
        "version": PROTOCOL_VERSION,
        "tls": "enable",
    }
    return found if cluster.authentication is Authentication.TLS else {**found, "sasl": "scram_sha512"}
