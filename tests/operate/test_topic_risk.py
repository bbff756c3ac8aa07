"""What an edit of a KafkaTopic or a KafkaUser risks when it is mended."""

from typing import Any

import pytest

from trunkline.operate.change import Risk
from trunkline.operate.difference import NOTHING, Difference
from trunkline.operate.topic_risk import topic_verdict, user_verdict
from trunkline.operate.verdict import Surroundings

ALONE = Surroundings(is_there=True)
BALANCED = Surroundings(is_there=True, has_cruise_control=True)


def at(*place: str, found: Any, wanted: Any) -> Difference:
    return Difference(at=place, found=found, wanted=wanted)


def config(name: str, found: Any, wanted: Any) -> Difference:
    return at("spec", "config", name, found=found, wanted=wanted)


@pytest.mark.parametrize(
    ("name", "found", "wanted", "risk"),
    [
        ("retention.ms", 10, 20, Risk.SAFE),
        ("retention.ms", "20", 10, Risk.DATA),
        ("retention.ms", -1, 10, Risk.DATA),
        ("retention.ms", 10, -1, Risk.SAFE),
        ("retention.ms", "nonsense", 10, Risk.DATA),
        ("retention.bytes", 10, NOTHING, Risk.SAFE),
        ("retention.bytes", NOTHING, 10, Risk.DATA),
        ("retention.bytes", NOTHING, -1, Risk.SAFE),
        ("cleanup.policy", "compact", "delete", Risk.DATA),
        ("cleanup.policy", "delete", "compact", Risk.DATA),
        ("cleanup.policy", "compact, delete", "delete", Risk.SAFE),
        ("cleanup.policy", "compact", "compact,delete", Risk.DATA),
        ("cleanup.policy", "compact", NOTHING, Risk.DATA),
        ("cleanup.policy", NOTHING, "delete", Risk.SAFE),
        ("compression.type", "zstd", "snappy", Risk.SAFE),
        ("segment.ms", 5, NOTHING, Risk.SAFE),
        ("min.insync.replicas", 2, 1, Risk.DATA),
        ("min.insync.replicas", "3", 2, Risk.DATA),
        ("min.insync.replicas", 2, NOTHING, Risk.DATA),
        ("min.insync.replicas", 1, 2, Risk.SAFE),
        ("min.insync.replicas", NOTHING, 2, Risk.SAFE),
        ("unclean.leader.election.enable", False, True, Risk.DATA),
        ("unclean.leader.election.enable", "true", NOTHING, Risk.SAFE),
        ("unclean.leader.election.enable", False, NOTHING, Risk.SAFE),
        ("max.message.bytes", 2_000_000, NOTHING, Risk.ACCESS),
        ("max.message.bytes", 10, 20, Risk.SAFE),
        ("max.message.bytes", 20, 10, Risk.ACCESS),
    ],
)
def test_a_setting_risks_records_where_fewer_are_kept(name: str, found: Any, wanted: Any, risk: Risk) -> None:
    judged = topic_verdict(config(name, found, wanted), ALONE)
    assert (judged.risk, judged.remedy) == (risk, "")


def test_a_setting_that_is_missing_stands_for_what_brokers_have() -> None:
    week, month = 604_800_000, 2_592_000_000
    missing = config("retention.ms", NOTHING, month)
    assert topic_verdict(missing, ALONE).risk is Risk.SAFE
    longer = Surroundings(is_there=True, broker_config={"log.retention.ms": month + 1})
    assert topic_verdict(missing, longer).risk is Risk.DATA
    assert topic_verdict(config("retention.ms", month, NOTHING), ALONE).risk is Risk.DATA
    assert topic_verdict(config("retention.ms", week, NOTHING), ALONE).risk is Risk.SAFE


@pytest.mark.parametrize(
    ("brokers", "risk"),
    [
        ({"log.retention.hours": 721}, Risk.DATA),
        ({"log.retention.hours": "720"}, Risk.SAFE),
        ({"log.retention.hours": -1}, Risk.DATA),
        ({"log.retention.minutes": 43_201, "log.retention.hours": 1}, Risk.DATA),
        ({"log.retention.ms": 5, "log.retention.hours": -1}, Risk.SAFE),
    ],
)
def test_what_brokers_keep_is_told_by_the_finest_unit(brokers: dict[str, Any], risk: Risk) -> None:
    around = Surroundings(is_there=True, broker_config=brokers)
    assert topic_verdict(config("retention.ms", NOTHING, 720 * 3_600_000), around).risk is risk


def test_what_is_given_back_to_brokers_is_judged_by_what_they_have() -> None:
    unclean = Surroundings(is_there=True, broker_config={"unclean.leader.election.enable": "true"})
    assert (
        topic_verdict(config("unclean.leader.election.enable", "false", NOTHING), unclean).risk is Risk.DATA
    )
    two = Surroundings(is_there=True, broker_config={"min.insync.replicas": 2})
    assert topic_verdict(config("min.insync.replicas", 2, NOTHING), two).risk is Risk.SAFE


def test_a_label_that_makes_a_resource_the_cluster_s_is_as_its_creation() -> None:
    labelled = at("metadata", "labels", "strimzi.io/cluster", found=NOTHING, wanted="trunkline")
    assert topic_verdict(labelled, ALONE).risk is Risk.DATA


@pytest.mark.parametrize("fenced", [0, "1"])
def test_the_fence_of_a_growth_is_for_the_growth_to_lift(fenced: Any) -> None:
    judged = topic_verdict(config("max.message.bytes", fenced, 1_048_588), ALONE)
    assert judged.risk is Risk.ORDER
    assert "trunkline topics grow" in judged.remedy


def test_more_partitions_break_the_order_of_keys_and_fewer_are_refused() -> None:
    more = topic_verdict(at("spec", "partitions", found=3, wanted=6), ALONE)
    assert (more.risk, more.remedy) == (Risk.ORDER, "")
    fewer = topic_verdict(at("spec", "partitions", found=7, wanted=6), ALONE)
    assert fewer.risk is Risk.ORDER
    assert fewer.remedy == "Strimzi takes no partition away: set `partitions` to 7 in the catalogue"


def test_replicas_move_with_cruise_control_only() -> None:
    difference = at("spec", "replicas", found=2, wanted=3)
    assert topic_verdict(difference, BALANCED).remedy == ""
    alone = topic_verdict(difference, ALONE)
    assert alone.risk is Risk.REBALANCE
    assert "only with Cruise Control" in alone.remedy


def test_a_topic_is_never_renamed() -> None:
    judged = topic_verdict(at("spec", "topicName", found="other", wanted=NOTHING), ALONE)
    assert "never renames" in judged.remedy


def test_labels_do_not_touch_the_topic() -> None:
    assert topic_verdict(at("metadata", "labels", "a", found="x", wanted="y"), ALONE).risk is Risk.SAFE


@pytest.mark.parametrize(
    ("difference", "risk"),
    [
        (at("spec", "authorization", "acls", "Write on topic t", found={}, wanted=NOTHING), Risk.ACCESS),
        (at("spec", "authorization", "acls", "Write on topic t", found=NOTHING, wanted={}), Risk.SAFE),
        (
            at(
                "spec",
                "authorization",
                "acls",
                "Read on topic t type deny",
                found={"type": "deny"},
                wanted=NOTHING,
            ),
            Risk.ACCESS,
        ),
        (at("spec", "authorization", "acls", found="nonsense", wanted={}), Risk.ACCESS),
        (at("spec", "authorization", found=NOTHING, wanted={}), Risk.SAFE),
        (at("spec", "authorization", "more", found=1, wanted=NOTHING), Risk.ACCESS),
        (at("spec", "authorization", "type", found="x", wanted="simple"), Risk.ACCESS),
        (at("spec", "authentication", "type", found="tls", wanted="scram-sha-512"), Risk.ACCESS),
        (at("spec", "authentication", found=NOTHING, wanted={}), Risk.ACCESS),
        (at("spec", "quotas", "producerByteRate", found=1, wanted=2), Risk.SAFE),
        (at("metadata", "labels", "strimzi.io/cluster", found="x", wanted="y"), Risk.SAFE),
        (at("spec", "template", found={}, wanted=NOTHING), Risk.SAFE),
    ],
)
def test_rights_that_are_taken_and_denials_that_are_lifted_are_about_access(
    difference: Difference, risk: Risk
) -> None:
    judged = user_verdict(difference)
    assert (judged.risk, judged.remedy) == (risk, "")
