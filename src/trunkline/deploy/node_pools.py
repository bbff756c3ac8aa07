"""The KafkaNodePools: brokers and controllers, or one pool of nodes that are both.

A pool's name, its roles, the number of controllers and `jbod` are for good: Strimzi's quorum is static, and
it refuses to change the kind of a pool's storage.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster, Machine, Storage
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.resource import Body, Field, Resource
from trunkline.deploy.strimzi import CLUSTER_LABEL, is_disposable, strimzi_resource

BROKERS: Final = "brokers"
CONTROLLERS: Final = "controllers"
DUAL_ROLE: Final = "dual-role"

NEXT_IDS: Final = "strimzi.io/next-node-ids"
POOL_LABEL: Final = "strimzi.io/pool-name"
HOST: Final = "kubernetes.io/hostname"

SHUTDOWN_SECONDS: Final = 120
"""A broker hands over its leaderships and syncs its logs; killed earlier, it recovers them at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One pool. `ids` are those that its nodes get, `spread_by` the label of all pods with its role."""

    name: str
    roles: tuple[str, ...]
    replicas: int
    ids: str
    spread_by: str
    machine: Machine
    storage: Storage


def node_pools(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """A KafkaNodePool for each kind of node."""
    is_temporary = is_disposable(catalogue.environment(environment))
    for pool in pools(catalogue, environment, cluster):
        yield strimzi_resource(
            "KafkaNodePool",
            pool.name,
            cluster=cluster,
            annotations={NEXT_IDS: pool.ids},
            spec=_spec(pool, cluster, deletes_claim=is_temporary),
            why=_why(pool, cluster),
        )


def pools(catalogue: Catalogue, environment: str, cluster: Cluster) -> tuple[Pool, ...]:
    """Brokers and controllers apart, or together where the cluster has no controllers of its own."""
    brokers = Pool(
        name=BROKERS if cluster.controllers else DUAL_ROLE,
        roles=("broker",) if cluster.controllers else ("broker", "controller"),
        replicas=catalogue.environment(environment).brokers,
        ids="[0-99]",
        spread_by="strimzi.io/broker-role",
        machine=cluster.broker,
        storage=cluster.broker_storage,
    )
    if cluster.controller is None or cluster.controller_storage is None:
        return (brokers,)
    controllers = Pool(
        name=CONTROLLERS,
        roles=("controller",),
        replicas=cluster.controllers,
        ids="[100-199]",
        spread_by="strimzi.io/controller-role",
        machine=cluster.controller,
        storage=cluster.controller_storage,
    )
    return brokers, controllers


def _spec(pool: Pool, cluster: Cluster, *, deletes_claim: bool) -> dict[str, Any]:
    machine = pool.machine
    spec: dict[str, Any] = {
        "replicas": pool.replicas,
        "roles": list(pool.roles),
        "resources": {
            "requests": {"cpu": machine.cpu, "memory": machine.memory},
            "limits": {"memory": machine.memory},
        },
        "storage": {"type": "jbod", "volumes": [_volume(pool.storage, deletes_claim=deletes_claim)]},
        "template": {"pod": _pod(pool, cluster)},
    }
    if machine.heap is not None:
        spec["jvmOptions"] = {"-Xms": machine.heap, "-Xmx": machine.heap}
    return spec


def _volume(storage: Storage, *, deletes_claim: bool) -> dict[str, Any]:
    volume = {
        "id": 0,
        "type": "persistent-claim",
        "size": storage.size,
        "deleteClaim": deletes_claim,
        "kraftMetadata": "shared",
    }
    return volume if storage.storage_class is None else {**volume, "class": storage.storage_class}


def _pod(pool: Pool, cluster: Cluster) -> dict[str, Any]:
    pod: dict[str, Any] = {"terminationGracePeriodSeconds": SHUTDOWN_SECONDS}
    if pool.replicas > 1:
        apart = {"topologyKey": HOST, "labelSelector": _labelled(cluster, POOL_LABEL, pool.name)}
        pod["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    if cluster.rack_key is not None:
        pod["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": cluster.rack_key,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": _labelled(cluster, pool.spread_by, "true"),
            }
        ]
    return pod


def _labelled(cluster: Cluster, label: str, value: str) -> Body:
    return {"matchLabels": {CLUSTER_LABEL: cluster.name, label: value}}


def _why(pool: Pool, cluster: Cluster) -> dict[Field, str]:
    volume: Field = ("spec", "storage", "volumes", 0)
    pod: Field = ("spec", "template", "pod")
    why: dict[Field, str] = {
        (
            "metadata",
            "annotations",
            NEXT_IDS,
        ): "Ids of its own: a node that is added later gets the next one.",
        ("spec", "storage", "type"): "Also for one volume: the kind can never be changed, and only this one "
        "takes more volumes.",
        (*volume, "kraftMetadata"): "The cluster's metadata stay on this volume when others are added.",
        ("spec", "resources", "limits"): "No limit on CPU: throttled, a node misses heartbeats.",
    }
    if "controller" in pool.roles:
        why["spec", "replicas"] = "For good: Strimzi's quorum of controllers neither grows nor shrinks."
    if pool.replicas > 1:
        why[*pod, "affinity"] = "Each on a machine of its own; one machine more lets one be drained."
    if cluster.rack_key is not None:
        why[*pod, "topologySpreadConstraints"] = "Strimzi's `rack` places replicas, not pods."
    return why
