"""What an edit of a Kafka or of its node pools risks when it is mended."""

from typing import Any

import pytest

from trunkline.operate.change import Risk
from trunkline.operate.difference import NOTHING, Difference
from trunkline.operate.kafka_risk import kafka_verdict, node_pool_verdict
from trunkline.operate.verdict import Surroundings, Verdict

ALONE = Surroundings(is_there=True)
BALANCED = Surroundings(is_there=True, has_cruise_control=True)
BROKERS = {"kind": "KafkaNodePool", "spec": {"roles": ["broker"]}}
DUAL = {"kind": "KafkaNodePool", "spec": {"roles": ["broker", "controller"]}}
VOLUMES = ("spec", "storage", "volumes")


def at(*place: str, found: Any, wanted: Any) -> Difference:
    return Difference(at=place, found=found, wanted=wanted)


def of_pool(
    difference: Difference, *, pool: dict[str, Any] = BROKERS, around: Surroundings = ALONE
) -> Verdict:
    return node_pool_verdict(difference, pool, pool, around)


@pytest.mark.parametrize(
    ("difference", "risk"),
    [
        (at("spec", "kafka", "version", found="4.2.1", wanted="4.3.1"), Risk.REBALANCE),
        (at("spec", "kafka", "metadataVersion", found="4.2-IV1", wanted="4.3-IV0"), Risk.REBALANCE),
        (
            at("spec", "kafka", "listeners", "tls", "authentication", "type", found="a", wanted="b"),
            Risk.ACCESS,
        ),
        (at("spec", "kafka", "authorization", found=NOTHING, wanted={}), Risk.ACCESS),
        (at("spec", "kafka", "config", "num.partitions", found=1, wanted=6), Risk.REBALANCE),
        (at("spec", "kafka", "config", "min.insync.replicas", found=1, wanted=2), Risk.SAFE),
        (at("spec", "kafka", "config", "min.insync.replicas", found="2", wanted=1), Risk.DATA),
        (at("spec", "kafka", "config", "min.insync.replicas", found=2, wanted=NOTHING), Risk.DATA),
        (at("spec", "kafka", "config", "min.insync.replicas", found=NOTHING, wanted=2), Risk.SAFE),
        (at("spec", "kafka", "config", "log.cleanup.policy", found="compact", wanted=NOTHING), Risk.DATA),
        (at("spec", "kafka", "config", "log.cleanup.policy", found="delete", wanted=NOTHING), Risk.SAFE),
        (at("spec", "kafka", "config", "log.cleanup.policy", found=NOTHING, wanted="compact"), Risk.DATA),
        (
            at("spec", "kafka", "config", "unclean.leader.election.enable", found=False, wanted=NOTHING),
            Risk.SAFE,
        ),
        (
            at("spec", "kafka", "config", "allow.everyone.if.no.acl.found", found=True, wanted=False),
            Risk.ACCESS,
        ),
        (
            at("spec", "kafka", "config", "unclean.leader.election.enable", found="true", wanted=False),
            Risk.SAFE,
        ),
        (
            at("spec", "kafka", "config", "unclean.leader.election.enable", found=False, wanted=True),
            Risk.DATA,
        ),
        (at("spec", "kafka", "config", "log.retention.ms", found=1, wanted=2), Risk.SAFE),
        (at("spec", "kafka", "config", "log.retention.ms", found=2, wanted=1), Risk.DATA),
        (at("spec", "kafka", "config", "log.retention.ms", found=-1, wanted=1), Risk.DATA),
        (at("spec", "kafka", "config", "log.retention.ms", found=NOTHING, wanted=1), Risk.DATA),
        (at("spec", "kafka", "config", "log.retention.hours", found=1, wanted=NOTHING), Risk.DATA),
        (at("spec", "kafka", "config", "log.retention.bytes", found=5, wanted=-1), Risk.SAFE),
        (at("spec", "kafka", "logging", "loggers", found={}, wanted=NOTHING), Risk.SAFE),
        (at("spec", "kafka", "rack", found=NOTHING, wanted={}), Risk.REBALANCE),
        (at("spec", "clusterCa", "validityDays", found=1, wanted=2), Risk.SAFE),
        (at("spec", "clientsCa", "generateCertificateAuthority", found=False, wanted=NOTHING), Risk.ACCESS),
        (at("spec", "entityOperator", "topicOperator", found=NOTHING, wanted={}), Risk.SAFE),
        (at("metadata", "labels", "x", found=NOTHING, wanted="y"), Risk.SAFE),
    ],
)
def test_a_kafka_s_field_risks_what_strimzi_does_for_it(difference: Difference, risk: Risk) -> None:
    judged = kafka_verdict(difference)
    assert (judged.risk, judged.remedy) == (risk, "")


@pytest.mark.parametrize(
    ("name", "found", "wanted"),
    [("version", "4.10.0", "4.9.3"), ("metadataVersion", "4.3-IV0", "4.2-IV1")],
)
def test_versions_never_go_down(name: str, found: str, wanted: str) -> None:
    assert found in kafka_verdict(at("spec", "kafka", name, found=found, wanted=wanted)).remedy


@pytest.mark.parametrize("name", ["version", "metadataVersion"])
def test_a_version_that_is_missing_is_no_newer_one(name: str) -> None:
    judged = kafka_verdict(at("spec", "kafka", name, found=NOTHING, wanted="4.3.1"))
    assert (judged.risk, judged.remedy) == (Risk.REBALANCE, "")


def test_what_is_missing_is_told_in_words() -> None:
    assert "put absent back" in of_pool(at(*VOLUMES, "0", "size", found=NOTHING, wanted="1Gi")).remedy


def test_controllers_are_for_good() -> None:
    for found, wanted in ((1, 3), (3, 1)):
        judged = of_pool(at("spec", "replicas", found=found, wanted=wanted), pool=DUAL, around=BALANCED)
        assert judged.risk is Risk.DATA
        assert f"if {found} run, let the catalogue say so" in judged.remedy
        assert f"put {wanted} back with kubectl edit" in judged.remedy
    assert of_pool(at("spec", "roles", found=["broker"], wanted=["controller"])).remedy


def test_brokers_are_added_and_with_cruise_control_taken_away() -> None:
    more, fewer = at("spec", "replicas", found=3, wanted=4), at("spec", "replicas", found=4, wanted=3)
    assert (of_pool(more).risk, of_pool(more).remedy) == (Risk.REBALANCE, "")
    assert "stay empty" in of_pool(more).why
    assert "moves partitions" in of_pool(more, around=BALANCED).why
    assert (of_pool(fewer, around=BALANCED).risk, of_pool(fewer, around=BALANCED).remedy) == (
        Risk.REBALANCE,
        "",
    )
    assert of_pool(fewer).risk is Risk.DATA
    assert "kafka-reassign-partitions.sh" in of_pool(fewer).remedy


@pytest.mark.parametrize(
    ("difference", "risk", "is_for_people"),
    [
        (at(*VOLUMES, "0", "size", found="1Gi", wanted="2Gi"), Risk.SAFE, False),
        (at(*VOLUMES, "0", "size", found="2Gi", wanted="1Gi"), Risk.DATA, True),
        (at(*VOLUMES, "0", "size", found="nonsense", wanted="1Gi"), Risk.DATA, True),
        (at(*VOLUMES, "0", "deleteClaim", found=False, wanted=True), Risk.DATA, False),
        (at(*VOLUMES, "0", "deleteClaim", found=True, wanted=False), Risk.SAFE, False),
        (at(*VOLUMES, "0", "class", found="a", wanted="b"), Risk.DATA, True),
        (at(*VOLUMES, "0", "kraftMetadata", found=NOTHING, wanted="shared"), Risk.REBALANCE, False),
        (at(*VOLUMES, "1", found={}, wanted=NOTHING), Risk.DATA, True),
        (at(*VOLUMES, "1", found=NOTHING, wanted={}), Risk.REBALANCE, False),
        (at("spec", "storage", "type", found="ephemeral", wanted="jbod"), Risk.DATA, True),
        (at("spec", "resources", "requests", "cpu", found="1", wanted="2"), Risk.REBALANCE, False),
        (at("metadata", "annotations", "x", found=NOTHING, wanted="y"), Risk.SAFE, False),
    ],
)
def test_storage_grows_and_everything_else_about_it_is_for_people(
    difference: Difference, risk: Risk, is_for_people: bool
) -> None:
    judged = of_pool(difference)
    assert (judged.risk, bool(judged.remedy)) == (risk, is_for_people)
