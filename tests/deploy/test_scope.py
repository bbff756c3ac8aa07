"""Which series are an environment's."""

import re

import pytest

from trunkline.deploy.scope import Scope
from trunkline.testing.clusters import a_cluster


def claims() -> str:
    selector = Scope(a_cluster()).volumes("used")
    found = re.search(r'persistentvolumeclaim=~"([^"]+)"', selector)
    assert found
    return found[1]


@pytest.mark.parametrize("claim", ["data-0-backbone-broker-0", "data-1-backbone-controllers-12"])
def test_a_volume_of_any_node_pool_is_the_clusters(claim: str) -> None:
    assert re.fullmatch(claims(), claim)


@pytest.mark.parametrize(
    "claim", ["data-0-other-broker-0", "data-backbone-zookeeper-0", "data-audit-service", "backbone"]
)
def test_a_volume_of_others_is_not(claim: str) -> None:
    assert not re.fullmatch(claims(), claim)


def test_clusters_in_one_namespace_are_told_apart() -> None:
    assert Scope(a_cluster(name="one")).kafka("up") != Scope(a_cluster(name="two")).kafka("up")


def test_matchers_come_after_the_metric() -> None:
    assert Scope(a_cluster()).services("up", 'pod="x"') == 'up{namespace="services", pod="x"}'
