"""Catalogue and environment -> the PrometheusRule with every alert."""

from collections.abc import Iterable, Sequence

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.alert import Alert
from trunkline.deploy.alerts_of_kafka import kafka_alerts
from trunkline.deploy.alerts_of_services import service_alerts
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.scope import MONITORING


def alerts(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """One PrometheusRule of the Prometheus operator (monitoring.coreos.com/v1), two groups.

    Every rule's labels are `severity`, `environment` and what its expression keeps.
    """
    groups = alert_groups(catalogue, environment, cluster)
    yield Resource(
        api_version="monitoring.coreos.com/v1",
        kind="PrometheusRule",
        name=f"{cluster.name}-alerts",
        namespace=cluster.monitoring_namespace,
        labels=MONITORING,
        body={
            "spec": {
                "groups": [
                    {"name": name, "rules": [alert.rule(environment) for alert in group]}
                    for name, group in groups
                ]
            }
        },
        why=dict(_reasons([group for _, group in groups])),
    )


def alert_groups(
    catalogue: Catalogue, environment: str, cluster: Cluster
) -> Sequence[tuple[str, Sequence[Alert]]]:
    """Every alert of an environment, by the name of its group."""
    contract = catalogue.environment(environment)
    return (
        (f"{cluster.name}.kafka", tuple(kafka_alerts(contract, cluster))),
        (f"{cluster.name}.services", tuple(service_alerts(catalogue, contract, cluster))),
    )


def _reasons(groups: Sequence[Sequence[Alert]]) -> Iterable[tuple[Field, str]]:
    for place, group in enumerate(groups):
        for number, alert in enumerate(group):
            if alert.why is not None:
                yield ("spec", "groups", place, "rules", number, "expr"), alert.why
