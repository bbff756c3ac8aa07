"""What Kafka says about a consumer, with the setting to change."""

import pytest

from trunkline.client import diagnosis
from trunkline.client.config import ConnectionOptions, ConsumerOptions, GroupProtocol
from trunkline.client.diagnosis import Situation

TOPICS = frozenset({"query.execution.events"})


def situation(**options: object) -> Situation:
    return Situation(
        connection=ConnectionOptions(bootstrap_servers="kafka:9092"),
        options=ConsumerOptions(group="audit", **options),  # type: ignore[arg-type]  # each test's own
        topics=TOPICS,
    )


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("_ALL_BROKERS_DOWN", "--bootstrap-servers or TRUNKLINE_BOOTSTRAP_SERVERS, which is kafka:9092"),
        ("_RESOLVE", "--bootstrap-servers"),
        ("_AUTHENTICATION", "TRUNKLINE_SASL_"),
        ("SASL_AUTHENTICATION_FAILED", "--client-properties"),
        ("TOPIC_AUTHORIZATION_FAILED", "Read and Describe on query.execution.events"),
        ("GROUP_AUTHORIZATION_FAILED", "Read on group audit"),
        ("UNKNOWN_TOPIC_OR_PART", "`trunkline topics create`"),
        ("INCONSISTENT_GROUP_PROTOCOL", "--group-protocol"),
        ("UNSUPPORTED_ASSIGNOR", "remote_assignor"),
    ],
)
def test_the_setting_to_change_is_named(code: str, named: str) -> None:
    assert named in diagnosis.explain(situation(), code, "what Kafka said")


def test_an_instance_id_in_use_is_explained_for_both_protocols() -> None:
    classic = situation(instance_id="pod-0")
    text = diagnosis.explain(classic, "_FATAL", "Fatal error: Broker: Static consumer fenced by instance")
    assert "instance id pod-0 is in use" in text
    assert "--instance-id" in text
    consumer = situation(instance_id="pod-0", protocol=GroupProtocol.CONSUMER)
    assert "released after" in diagnosis.explain(consumer, "UNRELEASED_INSTANCE_ID", "no")


def test_a_connection_that_was_never_made_is_told_apart_from_one_that_is_closed_at_once() -> None:
    refused = {
        "_TRANSPORT": "Connect failed: Connection refused",
        "_ALL_BROKERS_DOWN": "1/1 brokers are down",
    }
    text = diagnosis.unreachable("kafka:9092", refused, "Timed out")
    assert "kafka:9092 (Connect failed: Connection refused)" in text
    assert "--bootstrap-servers" in text
    assert "TRUNKLINE_SASL_" not in text
    hung_up = diagnosis.unreachable("kafka:9092", {"_ALL_BROKERS_DOWN": "1/1 brokers are down"}, "Timed out")
    assert "TRUNKLINE_SECURITY_PROTOCOL" in hung_up
    assert "(Timed out)" in diagnosis.unreachable("kafka:9092", {}, "Timed out")


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", "Read on topic x"),
        ("CLUSTER_AUTHORIZATION_FAILED", "Read on the cluster"),
    ],
)
def test_what_to_grant_is_named(code: str, named: str) -> None:
    advice = diagnosis.grant(code, "topic x", "Read")
    assert advice is not None
    assert named in advice
    assert "TRUNKLINE_SASL_USERNAME" in advice


def test_of_several_topics_only_the_one_that_is_forbidden_is_named() -> None:
    several = Situation(
        connection=ConnectionOptions(bootstrap_servers="kafka:9092"),
        options=ConsumerOptions(group="audit"),
        topics=frozenset({"tenant.lifecycle.events", "tenant.lifecycle", "query.execution.events"}),
    )
    said = "Kafka refuses this consumer topic {}: Fetch from broker 1 failed"
    for topic in several.topics:
        text = diagnosis.explain(several, "TOPIC_AUTHORIZATION_FAILED", said.format(topic))
        assert f"grant its principal Read and Describe on {topic}, or" in text
    unnamed = diagnosis.explain(several, "TOPIC_AUTHORIZATION_FAILED", "Broker: Topic authorization failed")
    assert all(topic in unnamed for topic in several.topics)


@pytest.mark.parametrize("text", ["no topic a.b", "topic a.b.", "a.b: no", "(a.b)", "'a.b', 'c'"])
def test_a_topic_is_found_in_an_error_as_a_whole_word(text: str) -> None:
    assert diagnosis.named_in(text, ["a", "a.b", "a.b.c", "b", "x-a.b"]) == ["a.b"]


def test_nothing_is_granted_for_other_errors() -> None:
    assert diagnosis.grant("UNKNOWN_TOPIC_OR_PART", "topic x", "Read") is None


def test_a_failed_handshake_is_a_refusal_and_a_refused_connection_is_none() -> None:
    assert diagnosis.is_refusal("_TRANSPORT", "SSL handshake failed")
    assert not diagnosis.is_refusal("_TRANSPORT", "Connection refused")


def test_members_agree_as_long_as_nobody_reads_what_this_one_does_not() -> None:
    assert diagnosis.disagreement(situation(), {"a": TOPICS, "b": frozenset()}) is None
    text = diagnosis.disagreement(situation(), {"a": TOPICS, "b at 10.0.0.7": {"tenant.lifecycle.events"}})
    assert text is not None
    assert "b at 10.0.0.7 reads tenant.lifecycle.events" in text
