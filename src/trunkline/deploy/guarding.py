"""Guards for what holds data: a GitOps tool must not delete it because it is no longer in the repository.

Deleting a KafkaTopic deletes the topic, deleting a Kafka or a node pool deletes the brokers, and a namespace
takes everything with it. A tool that prunes does all that after one wrong merge.
"""

from dataclasses import replace
from typing import Final

from trunkline.deploy.resource import Field, Resource

GUARDED: Final = frozenset({"Kafka", "KafkaNodePool", "KafkaTopic", "Namespace", "PersistentVolumeClaim"})

GUARDS: Final = {
    # Argo CD: neither when it is gone from the repository nor when the application is deleted.
    "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    # Flux.
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}

_ANNOTATIONS: Final[Field] = ("metadata", "annotations")
_WHY: Final = "Deleting it deletes data, so no GitOps tool may: remove it by hand."


def guarded(resource: Resource) -> Resource:
    """The resource, with annotations that keep Argo CD and Flux from deleting it if it holds data."""
    if resource.kind not in GUARDED:
        return resource
    why = {**resource.why, _ANNOTATIONS: resource.why.get(_ANNOTATIONS, _WHY)}
    return replace(resource, annotations={**resource.annotations, **GUARDS}, why=why)
