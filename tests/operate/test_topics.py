"""The catalogue's topics against a cluster's."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.topic_settings import TopicSettings, topic_settings
from trunkline.operate.change import Change, Risk, Verb
from trunkline.operate.topics import LiveTopic, keeps_longer, topic_changes

SETTINGS = {topic.name: topic for topic in topic_settings(load_catalogue(), "production")}
TOPIC = "query.execution.events"
DAY_MS = 86_400_000


def as_wanted(topic: TopicSettings) -> LiveTopic:
    return LiveTopic(
        name=topic.name,
        partitions=topic.partitions,
        replicas=frozenset({topic.replication_factor}),
        in_sync=topic.replication_factor,
        config={**topic.config, "segment.bytes": "1073741824"},
        own=topic.config,
        was_written=True,
    )


def with_setting(name: str, value: str, *, expiring: int = 0, was_written: bool = True) -> LiveTopic:
    live = as_wanted(SETTINGS[TOPIC])
    return replace(
        live,
        config={**live.config, name: value},
        own={**live.own, name: value},
        expiring=expiring,
        was_written=was_written,
    )


def changes_of(live: LiveTopic) -> list[Change]:
    found: Mapping[str, LiveTopic] = {
        **{name: as_wanted(topic) for name, topic in SETTINGS.items()},
        live.name: live,
    }
    return topic_changes(SETTINGS.values(), found)


def the_change_of(live: LiveTopic) -> Change:
    (change,) = changes_of(live)
    return change


def test_a_cluster_as_the_catalogue_says_needs_no_change() -> None:
    assert changes_of(as_wanted(SETTINGS[TOPIC])) == []


def test_an_empty_cluster_needs_every_topic_and_risks_nothing() -> None:
    changes = topic_changes(SETTINGS.values(), {})
    assert [(change.name, change.verb, change.risk) for change in changes] == [
        (name, Verb.CREATE, Risk.SAFE) for name in SETTINGS
    ]


def test_a_retention_that_was_cut_is_given_back_safely() -> None:
    change = the_change_of(with_setting("retention.ms", "3600000"))
    assert (change.risk, change.found, change.wanted) == (Risk.SAFE, "3600000", str(30 * DAY_MS))
    assert "does not come back" in change.why


@pytest.mark.parametrize("longer", [str(60 * DAY_MS), "-1"])
def test_a_longer_retention_is_cut_only_at_the_cost_of_the_records_that_are_older(longer: str) -> None:
    costly = the_change_of(with_setting("retention.ms", longer, expiring=1_234))
    assert costly.risk is Risk.DATA
    assert "1,234 records" in costly.why
    assert the_change_of(with_setting("retention.ms", longer)).risk is Risk.SAFE


def test_a_limit_in_bytes_is_lifted_safely() -> None:
    change = the_change_of(with_setting("retention.bytes", "1000"))
    assert (change.risk, change.wanted) == (Risk.SAFE, "-1")


def test_compaction_is_ended_only_at_the_cost_of_what_it_kept() -> None:
    assert the_change_of(with_setting("cleanup.policy", "compact")).risk is Risk.DATA
    assert the_change_of(with_setting("cleanup.policy", "compact", was_written=False)).risk is Risk.SAFE


def test_a_partition_too_many_has_broken_the_order_and_nobody_can_take_it_away() -> None:
    change = the_change_of(replace(as_wanted(SETTINGS[TOPIC]), partitions=7))
    assert (change.risk, change.found, change.wanted) == (Risk.ORDER, "7", "6")
    assert "let the catalogue say 7" in change.remedy


def test_partitions_that_are_missing_break_the_order_unless_nothing_was_ever_written() -> None:
    live = replace(as_wanted(SETTINGS[TOPIC]), partitions=3)
    change = the_change_of(live)
    assert (change.risk, change.remedy) == (Risk.ORDER, "")
    assert f"`trunkline topics grow {TOPIC} --partitions 6`" in change.why
    assert the_change_of(replace(live, was_written=False)).risk is Risk.SAFE


def test_the_backbones_own_topics_do_not_grow() -> None:
    live = replace(as_wanted(SETTINGS["trunkline.tenant.ends"]), partitions=2)
    assert "one order" in the_change_of(live).remedy


def test_other_replicas_are_a_reassignment_that_the_admin_api_of_the_library_does_not_have() -> None:
    live = replace(as_wanted(SETTINGS[TOPIC]), replicas=frozenset({2, 3}))
    change = the_change_of(live)
    assert (change.risk, change.found) == (Risk.REBALANCE, "2 and 3")
    assert "kafka-reassign-partitions.sh" in change.remedy


def test_more_replicas_in_sync_than_are_there_would_keep_everybody_from_publishing() -> None:
    change = the_change_of(replace(with_setting("min.insync.replicas", "1"), in_sync=1))
    assert change.risk is Risk.REBALANCE
    assert "then apply again" in change.remedy
    assert the_change_of(with_setting("min.insync.replicas", "1")).risk is Risk.SAFE


def test_fewer_replicas_in_sync_put_acknowledged_events_at_risk() -> None:
    assert the_change_of(with_setting("min.insync.replicas", "3")).risk is Risk.DATA


@pytest.mark.parametrize("closed", ["0", "1"])
def test_a_topic_that_a_growth_has_closed_is_left_to_the_growth(closed: str) -> None:
    live = replace(with_setting("max.message.bytes", closed), partitions=3)
    remedies = {change.field: change.remedy for change in changes_of(live)}
    assert remedies.keys() == {"max.message.bytes", "partitions"}
    assert all("`trunkline topics grow`" in remedy for remedy in remedies.values())


def test_a_smaller_size_cuts_off_who_publishes_larger_events() -> None:
    assert the_change_of(with_setting("max.message.bytes", "8388608")).risk is Risk.ACCESS
    assert the_change_of(with_setting("max.message.bytes", "1000")).risk is Risk.SAFE


@pytest.mark.parametrize(
    ("name", "value", "risk"),
    [
        ("unclean.leader.election.enable", "true", Risk.SAFE),
        ("unclean.leader.election.enable", "false", Risk.DATA),
        ("segment.ms", "60000", Risk.SAFE),
        ("remote.storage.enable", "true", Risk.DATA),
        ("a.setting.of.tomorrow", "1", Risk.DATA),
    ],
)
def test_a_setting_that_the_catalogue_does_not_name_goes_back_to_the_brokers_if_it_keeps_no_record(
    name: str, value: str, risk: Risk
) -> None:
    change = the_change_of(with_setting(name, value))
    assert (change.found, change.wanted, change.risk) == (value, "absent", risk)


def test_a_policy_that_deletes_nothing_is_ended_only_at_the_cost_of_what_is_older() -> None:
    assert the_change_of(with_setting("cleanup.policy", "", expiring=7)).risk is Risk.DATA
    assert the_change_of(with_setting("cleanup.policy", "")).risk is Risk.SAFE
    assert the_change_of(with_setting("cleanup.policy", "compact,delete")).risk is Risk.SAFE


def test_a_partition_without_a_leader_cannot_vouch_for_anything() -> None:
    live = replace(with_setting("retention.ms", "-1"), was_written=False, leaderless=1)
    assert the_change_of(live).risk is Risk.DATA
    few = replace(as_wanted(SETTINGS[TOPIC]), partitions=3, was_written=False, leaderless=1)
    assert the_change_of(few).risk is Risk.ORDER


def test_what_a_reassignment_sets_while_it_runs_is_no_drift() -> None:
    assert changes_of(with_setting("leader.replication.throttled.replicas", "0:1")) == []


configs = st.fixed_dictionaries(
    {
        "retention.ms": st.integers(-1, 10**12).map(str),
        "cleanup.policy": st.sampled_from(["delete", "compact", "compact,delete", ""]),
    }
)


@given(configs, configs)
def test_of_two_configurations_at_most_one_keeps_longer(one: dict[str, str], other: dict[str, str]) -> None:
    assert not (keeps_longer(one, other) and keeps_longer(other, one))
    assert not keeps_longer(one, one)
