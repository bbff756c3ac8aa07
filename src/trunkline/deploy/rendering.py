"""An environment as a tree of files: a Kustomize base with what all environments share, and an overlay.

    base/                   the same in every environment of the catalogue
    overlays/ENVIRONMENT/   what differs, and README.md: what has to be there before

What is shared is found by comparing, not declared: a resource is in the base when every environment has it
with the same text. So each stands in one file only, and an overlay shows what is particular about it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.alerts import alerts
from trunkline.deploy.dashboards import dashboards
from trunkline.deploy.guarding import guarded
from trunkline.deploy.guide import guide
from trunkline.deploy.kafka import kafka
from trunkline.deploy.labels import NAME
from trunkline.deploy.node_pools import node_pools
from trunkline.deploy.own_catalogue import carrying
from trunkline.deploy.pod_monitors import pod_monitors
from trunkline.deploy.resource import Resource
from trunkline.deploy.text import document, documents
from trunkline.deploy.topics import topics
from trunkline.deploy.users import users
from trunkline.deploy.workloads import workloads
from trunkline.errors import InvalidInput

Make: TypeAlias = Callable[[Catalogue, str, Cluster], Iterable[Resource]]

PARTS: Final[Mapping[str, Make]] = {
    "kafka.yaml": kafka,
    "node-pools.yaml": node_pools,
    "topics.yaml": topics,
    "users.yaml": users,
    "alerts.yaml": alerts,
    "dashboards.yaml": dashboards,
    "pod-monitors.yaml": pod_monitors,
}
"""The file that the resources of each function are in; those of the services have files of their own."""

SHARED_FILE: Final = "services/all.yaml"
"""What belongs to no single service: the namespace, and the policies for all pods."""

NOTICE: Final = "# Written by `trunkline render`: change the catalogue and render again.\n"
BASE: Final = "base"
OVERLAYS: Final = "overlays"

_Placed: TypeAlias = Mapping[str, Sequence[Resource]]


def resources(catalogue: Catalogue, environment: str, *, source: str | None = None) -> list[Resource]:
    """Everything of an environment, sorted by kind, namespace and name.

    `source` is the text of a catalogue that is not the packaged one: the services get it, too. Raises
    `InvalidInput` for an environment that the catalogue does not have, or not on Kubernetes, and where two
    resources would have one name.
    """
    found = [one for placed in _placed(catalogue, environment, source).values() for one in placed]
    return sorted(found, key=lambda one: one.key[1:])


def stream(catalogue: Catalogue, environment: str, *, source: str | None = None) -> str:
    """The same as one YAML stream, for `kubectl apply --filename -`."""
    return NOTICE + documents(resources(catalogue, environment, source=source))


def render(catalogue: Catalogue, environment: str, *, source: str | None = None) -> Mapping[str, str]:
    """The environment's files, by their paths: the base that all environments share, and its overlay.

    The same catalogue gives the same bytes. `source` and errors are as for `resources`.
    """
    placed = _placed(catalogue, environment, source)
    shared = _shared(catalogue, source)
    overlay = f"{OVERLAYS}/{environment}"
    base = dict(_files({file: [one for one in found if one.key in shared] for file, found in placed.items()}))
    own = dict(
        _files({file: [one for one in found if one.key not in shared] for file, found in placed.items()})
    )
    tree = {f"{BASE}/{file}": text for file, text in base.items()}
    tree |= {f"{overlay}/{file}": text for file, text in own.items()}
    if base:
        tree[f"{BASE}/kustomization.yaml"] = _kustomization(sorted(base))
    tree[f"{overlay}/kustomization.yaml"] = _kustomization(
        [*([f"../../{BASE}"] if base else []), *sorted(own)]
    )
    tree[f"{overlay}/README.md"] = guide(catalogue, environment, catalogue.cluster(environment))
    return {path: tree[path] for path in sorted(tree)}


def deployed_environments(catalogue: Catalogue) -> list[str]:
    """The environments that run on Kubernetes."""
    return sorted(catalogue.clusters)


def _placed(catalogue: Catalogue, environment: str, source: str | None) -> _Placed:
    """The environment's resources by the file that they are in."""
    cluster = catalogue.cluster(environment)
    found: dict[str, list[Resource]] = {
        file: [guarded(one) for one in make(catalogue, environment, cluster)] for file, make in PARTS.items()
    }
    services = workloads(catalogue, environment, cluster)
    for one in services if source is None else carrying(services, source, cluster):
        service = one.labels.get(NAME)
        file = SHARED_FILE if service is None else f"services/{service}.yaml"
        found.setdefault(file, []).append(guarded(one))
    _refuse_twins(one for placed in found.values() for one in placed)
    return found


def _refuse_twins(found: Iterable[Resource]) -> None:
    """Of two with one name the later would replace the earlier on the cluster, and say nothing."""
    counts = Counter(one.key for one in found)
    for (_, kind, namespace, name), count in sorted(counts.items()):
        if count > 1:
            where = f" in the namespace {namespace}" if namespace else ""
            raise InvalidInput(
                f"the catalogue makes {kind} {name}{where} {count} times; rename the topic, service or "
                "cluster that it is named after"
            )


def _shared(catalogue: Catalogue, source: str | None) -> frozenset[tuple[str, str, str, str]]:
    """The keys of what every environment has with the same text."""
    common: set[tuple[tuple[str, str, str, str], str]] | None = None
    for environment in deployed_environments(catalogue):
        texts = {(one.key, document(one)) for one in resources(catalogue, environment, source=source)}
        common = texts if common is None else common & texts
    return frozenset(key for key, _ in common or ())


def _files(placed: _Placed) -> Iterator[tuple[str, str]]:
    for file, found in placed.items():
        if found:
            yield file, NOTICE + documents(found)


def _kustomization(files: Iterable[str]) -> str:
    listed = "".join(f"  - {file}\n" for file in files)
    return f"{NOTICE}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{listed}"
