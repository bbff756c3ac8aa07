"""The pod that runs one service: `trunkline service NAME` with its flags, variables, Secrets and probes."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster, Machine
from trunkline.catalogue.quantity import size_bytes
from trunkline.deploy import connecting
from trunkline.deploy.labels import (
    API_PORT,
    API_PORT_NAME,
    CONTAINER,
    HEALTH_PORT,
    HEALTH_PORT_NAME,
    METRICS_PORT,
    METRICS_PORT_NAME,
    service_labels,
)
from trunkline.deploy.service_needs import needs

DATA_DIRECTORY: Final = "/var/lib/trunkline"
KEYS_DIRECTORY: Final = f"{DATA_DIRECTORY}/keys"
TOKENS_DIRECTORY: Final = "/etc/trunkline/tokens"
DATABASE_CA_DIRECTORY: Final = "/etc/trunkline/postgresql"
SECRETS_DIRECTORY: Final = "/etc/trunkline/secrets"

TOKENS_SECRET: Final = "trunkline-api-tokens"  # noqa: S105 - a Secret's name
TOKENS_KEY: Final = "public.pem"
DATABASE_CA_SECRET: Final = "trunkline-postgresql-ca"  # noqa: S105 - a Secret's name
STORE_KEYS: Final = ("store", "keys", "master.key")
"""Of a service's own Secret: the URLs of its two databases, and the 32 bytes that wrap its tenants' keys."""

USER: Final = 10_001
"""Of the image; its group, too."""

POD_SECURITY: Final[Mapping[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
"""Together what the restricted Pod Security Standard asks for, and a file system that is not written to."""

ENDPOINT_SECONDS: Final = 5
"""Until no node sends requests to a pod that is going any more."""

GRACE_SECONDS: Final = 90
"""For a pod to end: 5 s above, then at the most 25 s for the batch in hand, 5 s for the API's requests, 25 s
for messages that are being sent and 25 s for events that are being published. Mostly it takes two."""


def store_secret(service: str) -> str:
    """The Secret that the user makes for a service."""
    return f"{service}-store"


def extra_secret(service: str) -> str:
    """The Secret with credentials that the service's configuration names, where there is one."""
    return f"{service}-secrets"


def pod_spec(environment: str, cluster: Cluster, service: str) -> dict[str, Any]:
    """The `spec` of a service's pods."""
    return {
        "serviceAccountName": service,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": POD_SECURITY,
        "topologySpreadConstraints": spread(cluster, service),
        "containers": [_container(environment, cluster, service)],
        "volumes": _volumes(cluster, service),
    }


def spread(cluster: Cluster, service: str) -> list[dict[str, Any]]:
    """Over zones and nodes, as far as there are any: one that is full must not keep a pod from running."""
    keys = [*([cluster.rack_key] if cluster.rack_key else []), "kubernetes.io/hostname"]
    return [
        {
            "topologyKey": key,
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": service_labels(service)},
        }
        for key in keys
    ]


def _container(environment: str, cluster: Cluster, service: str) -> dict[str, Any]:
    machine = cluster.services.machine
    return {
        "name": CONTAINER,
        "image": cluster.services.image,
        "command": ["trunkline"],
        "args": _arguments(environment, service),
        "env": _environment(cluster, service),
        "ports": [
            {"name": API_PORT_NAME, "containerPort": API_PORT},
            {"name": HEALTH_PORT_NAME, "containerPort": HEALTH_PORT},
            {"name": METRICS_PORT_NAME, "containerPort": METRICS_PORT},
        ],
        "resources": {
            "requests": {"cpu": machine.cpu, "memory": machine.memory},
            "limits": {"memory": _memory_max(machine, service)},
        },
        "startupProbe": _probe("/livez", every=5, failures=60),
        "livenessProbe": _probe("/livez", every=10, failures=3),
        "readinessProbe": _probe("/readyz", every=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": ENDPOINT_SECONDS}}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": _mounts(service),
    }


def _memory_max(machine: Machine, service: str) -> str:
    """The settings' memory, unless the service needs more: a limit below the request is refused."""
    return max(machine.memory, needs(service).memory_max or machine.memory, key=_bytes)


def _bytes(size: str) -> Decimal:
    found = size_bytes(size)
    assert found is not None, "sizes are judged when the catalogue is read"
    return found


def _arguments(environment: str, service: str) -> list[str]:
    return [
        *("service", service),
        *("--environment", environment),
        *("--listen-address", "0.0.0.0"),  # noqa: S104 - the policies say who reaches it
        *("--api-port", str(API_PORT)),
        *("--health-port", str(HEALTH_PORT)),
        *("--metrics-port", str(METRICS_PORT)),
        *("--token-key", f"{TOKENS_DIRECTORY}/{TOKENS_KEY}"),
        # A cluster that is still being made is waited for; readiness says so meanwhile.
        *("--start-seconds", "0"),
        "--json",
    ]


def _environment(cluster: Cluster, service: str) -> list[dict[str, Any]]:
    plain = {
        **connecting.variables(service, cluster, connecting.in_pod(cluster)),
        "TRUNKLINE_DATA_DIR": DATA_DIRECTORY,
        "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
    }
    found: list[dict[str, Any]] = [{"name": name, "value": plain[name]} for name in sorted(plain)]
    for name, key in (("TRUNKLINE_KEYS", "keys"), ("TRUNKLINE_STORE", "store")):
        reference = {"name": store_secret(service), "key": key}
        found.append({"name": name, "valueFrom": {"secretKeyRef": reference}})
    return found


def _probe(path: str, *, every: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": HEALTH_PORT_NAME},
        "periodSeconds": every,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _volumes(cluster: Cluster, service: str) -> list[dict[str, Any]]:
    if needs(service).files is not None:
        data: dict[str, Any] = {"name": "data", "persistentVolumeClaim": {"claimName": service}}
    else:
        data = {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}}
    found: list[dict[str, Any]] = [
        data,
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        connecting.secret_volume("master-key", store_secret(service), ["master.key"]),
        connecting.secret_volume("tokens", TOKENS_SECRET, [TOKENS_KEY]),
        _optional_secret("postgresql-ca", DATABASE_CA_SECRET),
        *connecting.volumes(service, cluster),
    ]
    if needs(service).reads_secrets:
        found.append(_optional_secret("secrets", extra_secret(service)))
    return found


def _optional_secret(name: str, secret: str) -> dict[str, Any]:
    return {
        "name": name,
        "secret": {"secretName": secret, "optional": True, "defaultMode": connecting.SECRET_MODE},
    }


def _mounts(service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "data", "mountPath": DATA_DIRECTORY},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        {"name": "master-key", "mountPath": KEYS_DIRECTORY, "readOnly": True},
        {"name": "tokens", "mountPath": TOKENS_DIRECTORY, "readOnly": True},
        {"name": "postgresql-ca", "mountPath": DATABASE_CA_DIRECTORY, "readOnly": True},
        *connecting.mounts(),
    ]
    if needs(service).reads_secrets:
        found.append({"name": "secrets", "mountPath": SECRETS_DIRECTORY, "readOnly": True})
    return found
