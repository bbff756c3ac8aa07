"""Which time series are an environment's: PromQL selectors by the labels that its pod monitors give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.cluster import Cluster
from trunkline.deploy.labels import COMPONENT, PART_OF
from trunkline.deploy.service_needs import NEEDS

MONITORING: Final = {PART_OF: "trunkline", COMPONENT: "monitoring"}
"""The labels of what Prometheus and Grafana read: a Prometheus that selects its rules may select by these."""

EXPORTER: Final = "trunkline-exporter"
"""`app.kubernetes.io/name` of the pod that tells lags: `trunkline exporter`."""

APP: Final = "app"
"""The label of a series that has the pod's `app.kubernetes.io/name`: which service it is of."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One environment's series among those of all that a Prometheus scrapes.

    Each method selects a metric of one kind of pod; `more` are further matchers, written out in PromQL.
    """

    cluster: Cluster

    def kafka(self, metric: str, *more: str) -> str:
        """Of brokers, controllers and the entity operator."""
        return _select(
            metric,
            f'namespace="{self.cluster.namespace}"',
            f'strimzi_io_cluster="{self.cluster.name}"',
            *more,
        )

    def brokers(self, metric: str, *more: str) -> str:
        """Of brokers. Strimzi labels a pod with the roles that its pool has."""
        return self.kafka(metric, 'strimzi_io_broker_role="true"', *more)

    def controllers(self, metric: str) -> str:
        """Of controllers; of all nodes where brokers are controllers as well."""
        return self.kafka(metric, 'strimzi_io_controller_role="true"')

    def operator(self, metric: str) -> str:
        """What the cluster operator says about this cluster: its own labels tell whose it is."""
        return _select(
            metric, f'cluster="{self.cluster.name}"', f'resource_namespace="{self.cluster.namespace}"'
        )

    def reconciled(self, metric: str, *more: str) -> str:
        """What the cluster operator counts by the namespace of resources, which its own one hides."""
        return _select(metric, f'exported_namespace="{self.cluster.namespace}"', *more)

    def services(self, metric: str, *more: str) -> str:
        """Of the platform's services, and of anything else in their namespace."""
        return _select(metric, f'namespace="{self.cluster.services_namespace}"', *more)

    def exporter(self, metric: str, *more: str) -> str:
        """Of the exporter, whose pod is beside the services'."""
        return self.services(metric, f'{APP}="{EXPORTER}"', *more)

    def volumes(self, metric: str) -> str:
        """Of the volumes of every node pool, which Strimzi names `data-VOLUME-CLUSTER-POOL-NODE`, and of the
        services that keep files, by their names.
        """
        spaces = sorted({self.cluster.namespace, self.cluster.services_namespace})
        keepers = sorted(name for name, own in NEEDS.items() if own.files is not None)
        claims = [f"data-[0-9]+-{self.cluster.name}-.+-[0-9]+", *keepers]
        return _select(metric, _either("namespace", spaces), _either("persistentvolumeclaim", claims))


def _either(label: str, patterns: Sequence[str]) -> str:
    return f'{label}=~"{"|".join(patterns)}"'


def _select(metric: str, *matchers: str) -> str:
    return f"{metric}{{{', '.join(matchers)}}}"
