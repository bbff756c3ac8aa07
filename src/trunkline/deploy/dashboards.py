"""Catalogue and environment -> Grafana dashboards: ConfigMaps that Grafana's sidecar finds by their label."""

import json
from collections.abc import Iterable
from typing import Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.dashboard_of_backbone import backbone
from trunkline.deploy.dashboard_of_services import services
from trunkline.deploy.panel import Dashboard
from trunkline.deploy.resource import Resource
from trunkline.deploy.scope import MONITORING

SIDECAR_LABEL: Final = {"grafana_dashboard": "1"}
"""What the sidecar of Grafana's chart looks for unless it is told otherwise."""


def dashboards(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """A ConfigMap for each dashboard, beside Grafana."""
    for name, dashboard in all_dashboards(catalogue, environment, cluster):
        yield Resource(
            api_version="v1",
            kind="ConfigMap",
            name=f"{cluster.name}-dashboard-{name}",
            namespace=cluster.monitoring_namespace,
            labels={**MONITORING, **SIDECAR_LABEL},
            annotations={"kustomize.toolkit.fluxcd.io/substitute": "disabled"},
            body={"data": {f"{cluster.name}-{name}.json": json.dumps(dashboard.model(), indent=1)}},
            why={
                ("metadata", "annotations"): "Flux would put its own values in place of Grafana's variables."
            },
        )


def all_dashboards(
    catalogue: Catalogue, environment: str, cluster: Cluster
) -> Iterable[tuple[str, Dashboard]]:
    """Every dashboard of an environment, by a short name."""
    contract = catalogue.environment(environment)
    yield "backbone", backbone(catalogue, contract, cluster)
    yield "services", services(catalogue, contract, cluster)
