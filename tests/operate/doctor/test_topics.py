"""Topics against the contract."""

from dataclasses import replace

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.client.kafka.survey import TopicTold
from trunkline.operate.doctor.findings import Finding, Verdict
from trunkline.operate.doctor.topics import judge

WANTED = topic_settings(load_catalogue(), "production")
ONE = WANTED[0]
AS_IT_IS = TopicTold(None, partitions=ONE.partitions, replication_factor=ONE.replication_factor)


def judged(told: TopicTold, config: dict[str, str] | None) -> Finding:
    return next(judge([ONE], {ONE.name: told}, {} if config is None else {ONE.name: config}))


def test_a_topic_as_the_contract_says_is_ok() -> None:
    assert judged(AS_IT_IS, dict(ONE.config)).verdict is Verdict.OK


def test_every_setting_that_differs_is_named() -> None:
    for name in ONE.config:
        found = judged(AS_IT_IS, {**ONE.config, name: "7"})
        assert found.verdict is Verdict.WARNING
        assert f"{name} is 7, the contract has {ONE.config[name]}" in found.text
        assert "trunkline plan" in found.remedy


def test_other_partitions_and_replicas_are_named() -> None:
    found = judged(AS_IT_IS._replace(partitions=7, replication_factor=1), None)
    assert found.text == "7 partitions, the contract has 6, 1 replica, the contract has 3"


def test_a_topic_that_is_not_there_fails() -> None:
    assert judged(TopicTold(None, "UNKNOWN_TOPIC_OR_PART"), None).verdict is Verdict.FAILED


def test_a_partition_that_nobody_serves_fails() -> None:
    assert judged(AS_IT_IS._replace(leaderless=frozenset({2})), None).verdict is Verdict.FAILED


def test_a_replica_that_is_behind_is_a_warning() -> None:
    found = judged(AS_IT_IS._replace(under_replicated=frozenset({1, 2})), None)
    assert found.verdict is Verdict.WARNING
    assert "partition 1, 2" in found.text


def test_without_the_right_to_settings_they_are_not_checked_once_for_all() -> None:
    other = replace(ONE, name="other")
    told = {ONE.name: AS_IT_IS, "other": AS_IT_IS}
    *_, last = judge([ONE, other], told, {})
    assert last.verdict is Verdict.NOT_CHECKED
    assert last.about == "settings of 2 topics"


def test_a_topic_that_may_not_be_seen_is_not_checked() -> None:
    assert judged(TopicTold(None, "TOPIC_AUTHORIZATION_FAILED"), None).verdict is Verdict.NOT_CHECKED
