"""Which resources of a Kubernetes API an environment is about: those that it wants, and its former ones."""

from collections.abc import Iterable

from trunkline.deploy.labels import ALL_SERVICES, PART_OF
from trunkline.deploy.resource import Resource
from trunkline.deploy.strimzi import CLUSTER_LABEL
from trunkline.operate.kubernetes import KubernetesApi
from trunkline.operate.manifests import Key, Manifest
from trunkline.operate.resources import OF_CLUSTER


def inventory(api: KubernetesApi, wanted: Iterable[Resource]) -> dict[Key, Manifest]:
    """What there is of the wanted resources, and of others with their labels, in the same namespaces.

    Needs the verb `list` on each kind. Raises as `KubernetesApi` does; `KindMissing` where an operator whose
    resources are wanted is not installed.
    """
    resources = list(wanted)
    places = {one.key[:3] for one in resources}
    of_cluster = {place for place in places if place[1] in OF_CLUSTER}
    found: dict[Key, Manifest] = {}
    for name in sorted({one.labels[CLUSTER_LABEL] for one in resources if CLUSTER_LABEL in one.labels}):
        found |= api.listed(of_cluster, {CLUSTER_LABEL: name})
    found |= api.listed(places - of_cluster, {PART_OF: ALL_SERVICES[PART_OF]})
    return found | api.read(one.key for one in resources)
