"""Broker settings: what reaches a broker on Strimzi is taken, the rest refused with what becomes of it."""

import pytest

from trunkline.catalogue.broker_config import (
    ALLOW_EVERYONE,
    FIXED,
    FORBIDDEN_PREFIXES,
    RULED,
    broker_settings,
    setting_fault,
)

EXCEPTIONS = (
    "sasl.server.max.receive.size",
    "ssl.cipher.suites",
    "ssl.protocol",
    "ssl.enabled.protocols",
    "ssl.secure.random.implementation",
    "cruise.control.metrics.topic.num.partitions",
    "cruise.control.metrics.topic.retention.ms",
    "cruise.control.metrics.topic.auto.create.retries",
    "cruise.control.metrics.topic.auto.create.timeout.ms",
    "broker.session.timeout.ms",
    "broker.heartbeat.interval.ms",
    "controller.socket.timeout.ms",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.election.timeout.ms",
    "controller.quorum.fetch.timeout.ms",
)
"""Of Strimzi's forbidden prefixes, those that it lets through and Kafka 4 still knows."""


@pytest.mark.parametrize("prefix", FORBIDDEN_PREFIXES)
def test_what_strimzi_would_drop_is_refused(prefix: str) -> None:
    assert "which would drop it without a word" in str(setting_fault(f"{prefix}x", "y"))


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_strimzis_exceptions_are_taken(name: str) -> None:
    is_text = broker_settings()[name].type in ("string", "list")
    assert setting_fault(name, "x" if is_text else 1) is None


def test_no_setting_of_the_list_has_a_forbidden_prefix_but_the_exceptions() -> None:
    found = {name for name in broker_settings() if name.startswith(FORBIDDEN_PREFIXES)}
    assert found - set(RULED) == set(EXCEPTIONS)


@pytest.mark.parametrize("name", [*RULED, *FIXED])
def test_what_the_contract_rules_cannot_be_set_beside_it(name: str) -> None:
    fault = setting_fault(name, 1)
    assert fault is not None
    assert fault.startswith(name)


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, kind in broker_settings().items()
        if kind.type == "class" or name.endswith(("reporters", ".class.name", "providers"))
    ),
)
def test_no_class_can_be_named_that_strimzis_image_may_not_have(name: str) -> None:
    assert "cannot be set: " in str(setting_fault(name, "com.example.Own"))


@pytest.mark.parametrize("name", sorted(name for name in broker_settings() if name.startswith("remote.log.")))
def test_tiered_storage_cannot_be_set_up(name: str) -> None:
    assert str(setting_fault(name, 1)).endswith("tiered storage needs a plugin, and Strimzi's image has none")


def test_what_is_ruled_or_fixed_is_a_real_setting() -> None:
    assert {*RULED, *FIXED} <= broker_settings().keys()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("log.roll.ms", "soon", "must be a whole number, not 'soon'"),
        ("log.roll.ms", True, "must be a whole number, not True"),
        ("log.cleaner.backoff.ms", -1, "must be at least 0, not -1"),
        ("log.roll.ms", "1_000", "must be a whole number, not '1_000'"),
        ("log.flush.interval.messages", 2**63, f"must be at most {2**63 - 1}, not {2**63}"),
        ("log.cleaner.min.cleanable.ratio", "1.5", "must be at most 1, not 1.5"),
        ("log.cleaner.min.cleanable.ratio", "half", "must be a number, not 'half'"),
        ("log.cleaner.min.cleanable.ratio", "nan", "must be a number, not 'nan'"),
        ("controlled.shutdown.enable", "yes", "must be true or false, not 'yes'"),
    ],
)
def test_a_value_that_kafka_would_not_start_with_is_refused(
    name: str, value: str | int | bool, told: str
) -> None:
    assert setting_fault(name, value) == f"{name} {told}"


def test_the_authorisers_own_setting_may_say_what_it_does_anyway() -> None:
    taken, refused = False, "false"
    assert setting_fault(ALLOW_EVERYONE, taken) is None
    assert setting_fault(ALLOW_EVERYONE, refused) is not None
