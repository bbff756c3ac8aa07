"""The labels that our own pods are found by: by their Deployments, Services, policies and PodMonitors."""

from typing import Final

PART_OF: Final = "app.kubernetes.io/part-of"
COMPONENT: Final = "app.kubernetes.io/component"
NAME: Final = "app.kubernetes.io/name"

ALL_SERVICES: Final = {PART_OF: "trunkline", COMPONENT: "service"}
"""Every pod of every service, and nothing else."""

CONTAINER: Final = "service"

API_PORT, HEALTH_PORT, METRICS_PORT = 8080, 8081, 9100
API_PORT_NAME: Final = "api"
HEALTH_PORT_NAME: Final = "health"
METRICS_PORT_NAME: Final = "metrics"


def service_labels(service: str) -> dict[str, str]:
    """The labels of everything that belongs to a service."""
    return {NAME: service, **ALL_SERVICES}
