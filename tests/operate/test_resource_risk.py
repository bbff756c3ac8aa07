"""What creating, mending and leaving behind resources of each kind risks."""

from typing import Any

import pytest

from trunkline.operate.change import Risk
from trunkline.operate.difference import NOTHING, Difference
from trunkline.operate.resource_risk import creation, deletion, verdict
from trunkline.operate.verdict import Surroundings

NEW = Surroundings()
RUNNING = Surroundings(is_there=True)


def of(kind: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "n", "namespace": "s"}, "spec": spec}


def at(*place: str, found: Any, wanted: Any) -> Difference:
    return Difference(at=place, found=found, wanted=wanted)


@pytest.mark.parametrize(
    ("kind", "difference", "risk", "is_for_people"),
    [
        ("KafkaTopic", at("spec", "partitions", found=1, wanted=2), Risk.ORDER, False),
        ("KafkaUser", at("spec", "authentication", "type", found="a", wanted="b"), Risk.ACCESS, False),
        ("KafkaNodePool", at("spec", "jvmOptions", found=NOTHING, wanted={}), Risk.REBALANCE, False),
        ("Kafka", at("spec", "kafka", "listeners", found={}, wanted={"a": 1}), Risk.ACCESS, False),
        ("NetworkPolicy", at("spec", "ingress", found=[], wanted=[{}]), Risk.ACCESS, False),
        ("NetworkPolicy", at("metadata", "labels", "x", found="a", wanted="b"), Risk.SAFE, False),
        ("Deployment", at("spec", "replicas", found=7, wanted=1), Risk.SAFE, False),
        ("Deployment", at("spec", "template", "spec", found={}, wanted={"a": 1}), Risk.SAFE, False),
        ("Deployment", at("spec", "selector", "matchLabels", "a", found="a", wanted="b"), Risk.SAFE, True),
        (
            "PersistentVolumeClaim",
            at("spec", "resources", "requests", "storage", found="1Gi", wanted="2Gi"),
            Risk.SAFE,
            False,
        ),
        (
            "PersistentVolumeClaim",
            at("spec", "resources", "requests", "storage", found="2Gi", wanted="1Gi"),
            Risk.DATA,
            True,
        ),
        ("PersistentVolumeClaim", at("spec", "accessModes", "0", found="a", wanted="b"), Risk.DATA, True),
        ("Service", at("spec", "ports", found={}, wanted={"a": 1}), Risk.SAFE, False),
    ],
)
def test_each_kind_has_its_own_risks(
    kind: str, difference: Difference, risk: Risk, is_for_people: bool
) -> None:
    judged = verdict(difference, of(kind), of(kind), RUNNING)
    assert (judged.risk, bool(judged.remedy)) == (risk, is_for_people)


def test_creating_is_safe_but_for_nodes_beside_those_that_run() -> None:
    assert {creation(of(kind), RUNNING).risk for kind in ("KafkaUser", "Kafka", "Service")} == {Risk.SAFE}
    assert creation(of("KafkaNodePool", roles=["controller"]), NEW).risk is Risk.SAFE
    assert creation(of("KafkaNodePool", roles=["broker"]), RUNNING).risk is Risk.REBALANCE
    assert creation(of("KafkaNodePool", roles=["controller"]), RUNNING).remedy


def test_a_topic_s_resource_may_meet_a_topic_where_the_cluster_is_there() -> None:
    assert creation(of("KafkaTopic"), NEW).risk is Risk.SAFE
    beside = creation(of("KafkaTopic"), RUNNING)
    assert (beside.risk, beside.remedy) == (Risk.DATA, "")
    assert "partitions may be added, retention cut" in beside.why


def test_a_policy_that_is_made_where_pods_run_may_end_their_connections() -> None:
    assert creation(of("NetworkPolicy"), NEW).risk is Risk.SAFE
    assert creation(of("NetworkPolicy"), RUNNING).risk is Risk.ACCESS


@pytest.mark.parametrize("kind", ["KafkaTopic", "KafkaUser", "KafkaNodePool"])
def test_nothing_of_another_cluster_s_resource_is_changed(kind: str) -> None:
    ours, theirs = of(kind), of(kind)
    ours["metadata"]["labels"] = {"strimzi.io/cluster": "trunkline"}
    theirs["metadata"]["labels"] = {"strimzi.io/cluster": "other"}
    for difference in (
        at("metadata", "labels", "strimzi.io/cluster", found="other", wanted="trunkline"),
        at("spec", "config", "retention.ms", found=1, wanted=2),
    ):
        judged = verdict(difference, ours, theirs, RUNNING)
        assert "belongs to Kafka cluster other" in judged.why
        assert judged.remedy


def test_what_the_catalogue_does_not_know_is_for_people_to_delete() -> None:
    topic = deletion(of("KafkaTopic"))
    assert topic.risk is Risk.DATA
    unneeded = "if nobody needs it, take it out of the files that deploy it: kubectl delete"
    assert topic.remedy == f"put it into the catalogue, or {unneeded} kafkatopic n --namespace s"
    assert deletion(of("KafkaUser")).risk is Risk.ACCESS
    assert deletion(of("Service")).remedy == f"{unneeded} service n --namespace s"
