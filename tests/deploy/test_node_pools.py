"""The KafkaNodePools: one node that is both in development; brokers and controllers apart in production."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.catalogue.cluster import Storage
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.node_pools import node_pools
from trunkline.deploy.text import documents
from trunkline.testing.kubernetes import problems


def rendered(environment: str, **changes: Any) -> dict[str, Any]:
    """What a reader of the YAML gets, by the pool's name."""
    catalogue = load_catalogue()
    cluster = replace(catalogue.cluster(environment), **changes)
    text = documents(node_pools(catalogue, environment, cluster))
    return {found["metadata"]["name"]: found for found in yaml.safe_load_all(text)}


def test_development_is_one_node_that_is_broker_and_controller() -> None:
    pools = rendered("development")
    assert pools.keys() == {"dual-role"}
    spec = pools["dual-role"]["spec"]
    assert (spec["replicas"], spec["roles"]) == (1, ["broker", "controller"])
    assert "affinity" not in spec["template"]["pod"]
    assert "topologySpreadConstraints" not in spec["template"]["pod"]


def test_production_is_three_brokers_and_three_controllers() -> None:
    pools = rendered("production")
    found = {name: (pool["spec"]["replicas"], pool["spec"]["roles"]) for name, pool in pools.items()}
    assert found == {"brokers": (3, ["broker"]), "controllers": (3, ["controller"])}


@pytest.mark.parametrize(("pool", "role"), [("brokers", "broker"), ("controllers", "controller")])
def test_nodes_are_on_machines_of_their_own_and_spread_over_zones(pool: str, role: str) -> None:
    pod = rendered("production")[pool]["spec"]["template"]["pod"]
    [apart] = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert apart["labelSelector"]["matchLabels"]["strimzi.io/pool-name"] == pool
    [spread] = pod["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    assert spread["whenUnsatisfiable"] == "DoNotSchedule"
    assert spread["labelSelector"]["matchLabels"] == {
        "strimzi.io/cluster": "trunkline",
        f"strimzi.io/{role}-role": "true",
    }


@pytest.mark.parametrize(("environment", "deletes"), [("development", True), ("production", False)])
def test_only_development_gives_up_its_volumes_with_the_cluster(environment: str, deletes: bool) -> None:
    for pool in rendered(environment).values():
        [volume] = pool["spec"]["storage"]["volumes"]
        assert pool["spec"]["storage"]["type"] == "jbod"
        assert volume["type"] == "persistent-claim"
        assert volume["kraftMetadata"] == "shared"
        assert volume["deleteClaim"] is deletes
        assert "class" not in volume


def test_a_storage_class_that_is_named_is_asked_for() -> None:
    pools = rendered("production", broker_storage=Storage(size="1Ti", storage_class="fast"))
    [volume] = pools["brokers"]["spec"]["storage"]["volumes"]
    assert (volume["class"], volume["size"]) == ("fast", "1Ti")


def test_memory_is_fixed_and_the_heap_does_not_grow() -> None:
    cluster = load_catalogue().cluster("production")
    spec = rendered("production")["brokers"]["spec"]
    assert spec["resources"] == {
        "requests": {"cpu": cluster.broker.cpu, "memory": cluster.broker.memory},
        "limits": {"memory": cluster.broker.memory},
    }
    assert spec["jvmOptions"] == {"-Xms": cluster.broker.heap, "-Xmx": cluster.broker.heap}


def test_the_ids_of_a_pool_leave_room_for_more_of_its_nodes() -> None:
    ids = {
        name: pool["metadata"]["annotations"]["strimzi.io/next-node-ids"]
        for name, pool in rendered("production").items()
    }
    assert ids == {"brokers": "[0-99]", "controllers": "[100-199]"}


@pytest.mark.parametrize("environment", ["development", "production"])
def test_no_field_of_a_pool_is_unknown_to_strimzi(environment: str, schemas: Path) -> None:
    for pool in rendered(environment).values():
        assert problems(pool, schemas) == []
        assert pool["metadata"]["labels"] == {"strimzi.io/cluster": "trunkline"}
