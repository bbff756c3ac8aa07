"""How a pod reaches the brokers: the Secrets that Strimzi's operators make, mounted as librdkafka wants them.

| Secret | keys that are mounted |
|---|---|
| `CLUSTER-cluster-ca-cert` | `ca.crt`, which the brokers' certificates are checked with |
| the service's name, by its KafkaUser | `user.crt` and `user.key`, or `password` |

The user's Secret has a `ca.crt` too; that is the *clients'* CA, and no broker's certificate is of it. Mounted
as whole directories, because a file mounted by `subPath` never changes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from trunkline.catalogue.cluster import Authentication, Cluster

PORT: Final = 9093
"""Of the TLS listener within the Kubernetes cluster."""

CLUSTER_CA_DIRECTORY: Final = "/etc/kafka/cluster-ca"
USER_DIRECTORY: Final = "/etc/kafka/user"
SECRET_MODE: Final = 0o440
"""Readable for the pod's group, which is the process's; Kubernetes writes it as a decimal."""

RESTARTED_WHY: Final = "Restarts the pods when a certificate is renewed, where Stakater's Reloader runs."
_RELOADER: Final = "secret.reloader.stakater.com/reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the brokers are, and the directories that hold the files of the two Secrets."""

    bootstrap_servers: str
    cluster_ca: str
    user: str


def in_pod(cluster: Cluster) -> Places:
    """As a service's pod has it."""
    return Places(
        bootstrap_servers=bootstrap_servers(cluster), cluster_ca=CLUSTER_CA_DIRECTORY, user=USER_DIRECTORY
    )


def bootstrap_servers(cluster: Cluster) -> str:
    """The address of Strimzi's bootstrap Service."""
    return f"{cluster.name}-kafka-bootstrap.{cluster.namespace}.svc:{PORT}"


def ca_secret(cluster: Cluster) -> str:
    """The Secret that Strimzi keeps the certificate of the cluster's CA in."""
    return f"{cluster.name}-cluster-ca-cert"


def restarted_with(user: str, cluster: Cluster) -> dict[str, str]:
    """The annotation of a Deployment that has to start anew with these Secrets, read at the start only."""
    return {_RELOADER: f"{user},{ca_secret(cluster)}"}


def user_files(cluster: Cluster) -> tuple[str, ...]:
    """The keys of the user's Secret that prove who the service is."""
    if cluster.authentication is Authentication.TLS:
        return ("user.crt", "user.key")
    return ("password",)


def variables(service: str, cluster: Cluster, places: Places) -> dict[str, str]:
    """What `trunkline` is told of the connection, by variable."""
    found = {
        "TRUNKLINE_BOOTSTRAP_SERVERS": places.bootstrap_servers,
        "TRUNKLINE_SSL_CA_LOCATION": f"{places.cluster_ca}/ca.crt",
    }
    if cluster.authentication is Authentication.TLS:
        return {
            **found,
            "TRUNKLINE_SECURITY_PROTOCOL": "SSL",
            "TRUNKLINE_SSL_CERTIFICATE_LOCATION": f"{places.user}/user.crt",
            "TRUNKLINE_SSL_KEY_LOCATION": f"{places.user}/user.key",
        }
    return {
        **found,
        "TRUNKLINE_SECURITY_PROTOCOL": "SASL_SSL",
        "TRUNKLINE_SASL_MECHANISM": "SCRAM-SHA-512",
        "TRUNKLINE_SASL_USERNAME": service,
        "TRUNKLINE_SASL_PASSWORD_FILE": f"{places.user}/password",
    }


def volumes(service: str, cluster: Cluster) -> list[dict[str, Any]]:
    """The pod's volumes of these Secrets."""
    return [
        secret_volume("cluster-ca", ca_secret(cluster), ["ca.crt"]),
        secret_volume("kafka-user", service, user_files(cluster)),
    ]


def mounts() -> list[dict[str, Any]]:
    """Where the container has them."""
    return [
        {"name": "cluster-ca", "mountPath": CLUSTER_CA_DIRECTORY, "readOnly": True},
        {"name": "kafka-user", "mountPath": USER_DIRECTORY, "readOnly": True},
    ]


def secret_volume(name: str, secret: str, keys: Sequence[str]) -> dict[str, Any]:
    """A volume of these keys of a Secret, and no others."""
    items = [{"key": key, "path": key} for key in keys]
    return {"name": name, "secret": {"secretName": secret, "items": items, "defaultMode": SECRET_MODE}}
