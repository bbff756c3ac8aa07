"""A catalogue of one's own, given to the pods as well: they have to go by the contract that was rendered."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster
from trunkline.deploy.labels import PART_OF
from trunkline.deploy.resource import Resource, plain

DIRECTORY: Final = "/etc/trunkline/catalogue"
FILE: Final = "catalogue.yaml"
VOLUME: Final = "catalogue"


def carrying(resources: Iterable[Resource], source: str, cluster: Cluster) -> Iterator[Resource]:
    """The resources with the catalogue's text in a ConfigMap, and every Deployment told to read it there.

    The ConfigMap's name has the text's digest, so that pods start anew with another text.
    """
    name = f"trunkline-catalogue-{sha256(source.encode()).hexdigest()[:10]}"
    yield Resource(
        api_version="v1",
        kind="ConfigMap",
        name=name,
        namespace=cluster.services_namespace,
        labels={PART_OF: "trunkline"},
        body={"immutable": True, "data": {FILE: source}},
    )
    for resource in resources:
        yield _reading(resource, name) if resource.kind == "Deployment" else resource


def _reading(deployment: Resource, config_map: str) -> Resource:
    body: dict[str, Any] = plain(deployment.body)
    pod = body["spec"]["template"]["spec"]
    pod["volumes"].append({"name": VOLUME, "configMap": {"name": config_map}})
    for container in pod["containers"]:
        container["env"].append({"name": "TRUNKLINE_CATALOGUE", "value": f"{DIRECTORY}/{FILE}"})
        container["volumeMounts"].append({"name": VOLUME, "mountPath": DIRECTORY, "readOnly": True})
    return replace(deployment, body=body)
