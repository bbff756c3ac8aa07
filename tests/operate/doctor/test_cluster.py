"""Who is let in, brokers, versions."""

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.kafka import ClusterState
from trunkline.operate.doctor.cluster import FIRST_LEVELS, brokers, let_in, release, versions, way_in
from trunkline.operate.doctor.findings import Verdict
from trunkline.operate.doctor.greeting import Greeting
from trunkline.operate.doctor.reach import Address, Contact

PRODUCTION = load_catalogue().environment("production")
ADDRESS = Address(host="kafka-0", port=9093)


def state(number: int) -> ClusterState:
    return ClusterState({one: f"kafka-{one}:9093" for one in range(number)}, {})


@pytest.mark.parametrize(
    ("number", "verdict"), [(3, Verdict.OK), (2, Verdict.WARNING), (1, Verdict.FAILED), (4, Verdict.WARNING)]
)
def test_the_number_of_brokers_is_held_against_the_contract(number: int, verdict: Verdict) -> None:
    (found,) = brokers(state(number), [], PRODUCTION)
    assert found.verdict is verdict


def test_an_advertised_listener_that_cannot_be_reached_fails() -> None:
    silent = Contact(address=ADDRESS, answered={}, silent={"10.0.0.1": "Connection refused"})
    unknown = Contact(address=ADDRESS, answered={}, silent={}, unresolved="no such name")
    there = Contact(address=ADDRESS, answered={"10.0.0.1": 1.0}, silent={})
    _, first, second, third = brokers(state(3), [silent, unknown, there], PRODUCTION)
    assert [first.verdict, second.verdict, third.verdict] == [Verdict.FAILED, Verdict.FAILED, Verdict.OK]
    assert "advertised" in first.remedy
    assert "cannot be resolved" in second.text


def test_a_way_in_never_shows_a_secret() -> None:
    security = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "audit-service",
        "sasl.password": "geheim",
    }
    assert way_in(security) == "SCRAM-SHA-512 as audit-service"
    assert way_in({"security.protocol": "SSL", "ssl.certificate.location": "x"}) == "the client's certificate"
    assert let_in({}).verdict is Verdict.NOT_USED
    assert "geheim" not in let_in(security).sentence


def test_the_level_of_the_metadata_tells_the_release() -> None:
    assert release(1) == "before 3.3"
    assert release(7) == "3.3"
    assert release(FIRST_LEVELS["4.0"] - 1) == "3.9"
    assert release(FIRST_LEVELS["4.0"] + 1) == "4.0"
    assert release(999) == "4.3 or newer"


def test_versions_are_told_of_both_ends() -> None:
    ours, theirs = versions(Greeting(apis={18: 4}, features={"metadata.version": 25, "group.version": 1}), "")
    assert "librdkafka 2." in ours.text
    assert "of Kafka 4.0" in theirs.text


def test_a_broker_without_the_new_protocol_is_told() -> None:
    _, theirs = versions(Greeting(apis={18: 3}, features={"metadata.version": 21}), "")
    assert "--group-protocol has to be classic" in theirs.text


def test_a_broker_that_does_not_say_is_not_checked() -> None:
    _, theirs = versions(None, "it hangs up")
    assert theirs.verdict is Verdict.NOT_CHECKED
