"""The contract's settings, as librdkafka gets them."""

from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from trunkline.client.config import (
    LEADER_ELECTION_MS,
    RETRY_JITTER,
    ConnectionOptions,
    ConsumerOptions,
    GroupProtocol,
    ProducerOptions,
    admin_config,
    consumer_config,
    producer_config,
    reader_config,
    retry_budget_ms,
    retry_waits_ms,
)
from trunkline.errors import InvalidInput

CONNECTION = ConnectionOptions(bootstrap_servers="127.0.0.1:1")


def test_the_producer_is_the_contracts() -> None:
    config = producer_config(CONNECTION, ProducerOptions())
    contract = {
        "acks": "all",
        "retries": 3,
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 1,
        "compression.type": "snappy",
        "partitioner": "murmur2_random",
    }
    assert contract.items() <= config.items()


def test_the_consumer_is_the_contracts_and_commits_nothing_by_itself() -> None:
    config = consumer_config(CONNECTION, ConsumerOptions(group="g"))
    contract = {
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "partition.assignment.strategy": "cooperative-sticky",
        "group.id": "g",
    }
    assert contract.items() <= config.items()


def test_three_retries_outlast_a_leader_election_even_with_the_shortest_jitter() -> None:
    waits = retry_waits_ms()
    shortest = sum(waits) * (1 - RETRY_JITTER)
    print(f"waits {waits} ms: at least {shortest:g} ms, at most {retry_budget_ms()} ms")
    assert waits == (2_000, 4_000, 8_000)
    assert shortest > LEADER_ELECTION_MS
    # As the module's documentation says; and what a configuration really tells librdkafka.
    assert (shortest, retry_budget_ms()) == (11_200, 16_800)
    config = producer_config(CONNECTION, ProducerOptions())
    assert waits[0] == config["retry.backoff.ms"]
    assert waits[-1] == config["retry.backoff.max.ms"]
    assert len(waits) == config["retries"]


def test_librdkafka_accepts_every_configuration() -> None:
    confluent_kafka.Producer(producer_config(CONNECTION, ProducerOptions()))
    confluent_kafka.Consumer(consumer_config(CONNECTION, ConsumerOptions(group="g"))).close()
    confluent_kafka.Consumer(reader_config(CONNECTION)).close()
    confluent_kafka.admin.AdminClient(dict(admin_config(CONNECTION)))


def test_an_administration_client_looks_for_another_controller_within_seconds() -> None:
    every_ms = admin_config(CONNECTION)["topic.metadata.refresh.interval.ms"]
    assert isinstance(every_ms, int)
    assert every_ms <= LEADER_ELECTION_MS


def test_a_delivery_time_out_that_would_cut_off_the_retries_is_refused() -> None:
    with pytest.raises(InvalidInput, match="would cut off the 3 retries"):
        ProducerOptions(delivery_timeout_ms=retry_budget_ms())


def test_a_poll_interval_below_the_session_time_out_is_refused() -> None:
    with pytest.raises(InvalidInput, match="raise it"):
        ConsumerOptions(group="g", session_timeout_ms=10_000, poll_interval_max_ms=9_999)


def test_security_is_passed_through_and_nothing_else_is() -> None:
    secured = ConnectionOptions(
        bootstrap_servers="a:1", security={"security.protocol": "SASL_SSL", "ssl.ca.location": "/ca.pem"}
    )
    assert producer_config(secured, ProducerOptions())["security.protocol"] == "SASL_SSL"
    with pytest.raises(InvalidInput, match="acks is not a security property"):
        ConnectionOptions(bootstrap_servers="a:1", security={"acks": "0"})
    with pytest.raises(InvalidInput, match="no bootstrap servers"):
        ConnectionOptions(bootstrap_servers=" ")


@pytest.mark.parametrize(
    "servers", ["localhost:99999", "localhost:port", "a:9092,:9093x", "a:9092,,b", "host:0"]
)
def test_an_address_that_cannot_be_one_is_refused_before_anything_waits_for_it(servers: str) -> None:
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        ConnectionOptions(bootstrap_servers=servers)


@pytest.mark.parametrize("servers", ["localhost", "localhost:9092", "a:1, b:65535", "[::1]:9092"])
def test_hosts_with_and_without_a_port_are_taken(servers: str) -> None:
    assert ConnectionOptions(bootstrap_servers=servers).bootstrap_servers == servers


def test_the_brokers_protocol_has_a_branch_of_its_own() -> None:
    options = ConsumerOptions(group="g", protocol=GroupProtocol.CONSUMER, remote_assignor="range")
    config = consumer_config(CONNECTION, options)
    # librdkafka refuses to build a client with any of these three.
    classic = {"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"}
    assert not classic & config.keys()
    assert config["group.remote.assignor"] == "range"
    confluent_kafka.Consumer(config).close()


def test_a_static_member_outlasts_a_restart() -> None:
    config = consumer_config(CONNECTION, ConsumerOptions(group="g", instance_id="pod-0"))
    assert (config["group.instance.id"], config["session.timeout.ms"]) == ("pod-0", 30_000)
    assert "group.instance.id" not in consumer_config(CONNECTION, ConsumerOptions(group="g"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"group": " "}, "name of its group"),
        ({"instance_id": ""}, "instance id is empty"),
        ({"instance_id": "a", "session_timeout_ms": 10_000}, "shorter than a restart"),
        ({"remote_assignor": "uniform"}, "needs protocol='consumer'"),
        ({"protocol": GroupProtocol.CONSUMER, "session_timeout_ms": 10_000}, "group.consumer.session"),
    ],
)
def test_consumer_options_that_do_not_go_together_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        ConsumerOptions(**{"group": "g", **options})
