"""Access follows the contract, and a decision is what Kafka's authoriser would answer."""

from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.access import (
    ANY,
    Asset,
    Kind,
    Operation,
    Pattern,
    Right,
    decide,
    exporter_rights,
    holders,
    operator_rights,
    rights,
)
from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Service
from trunkline.catalogue.names import ServiceName
from trunkline.errors import InvalidInput

CATALOGUE: Final = load_catalogue()
SERVICES: Final = tuple(CATALOGUE.services)
TOPICS: Final = (*CATALOGUE.topics, *(topic.name for topic in INTERNAL_TOPICS), "some.other.topic", "")
NAMES: Final = (*TOPICS, *SERVICES, "audit-service-2", "audit", ANY, "kafka-cluster", "trunkline-reader")

INTERNAL: Final[dict[tuple[str, str], set[str]]] = {
    ("trunkline.broadcast.positions", "Read"): {"config-service"},
    ("trunkline.broadcast.positions", "Write"): {*SERVICES},
    ("trunkline.growth.journal", "Read"): {
        str(name) for name in SERVICES if any(name in topic.groups for topic in CATALOGUE.topics.values())
    },
    ("trunkline.growth.journal", "Write"): set(),
    ("trunkline.tenant.ends", "Read"): {*SERVICES},
    ("trunkline.tenant.ends", "Write"): {"tenant-service"},
    ("trunkline.erasure.receipts", "Read"): {"iam-service"},
    ("trunkline.erasure.receipts", "Write"): {*SERVICES},
}


def expected(service: str, operation: str, kind: str, name: str) -> bool:
    """The contract read once more, without any right: who may do what to which resource."""
    if kind == "topic":
        topic = next((found for found in CATALOGUE.topics.values() if found.name == name), None)
        writes = service == topic.publisher if topic else service in INTERNAL.get((name, "Write"), set())
        reads = service in topic.consumers if topic else service in INTERNAL.get((name, "Read"), set())
        return {"Read": reads, "Write": writes, "Describe": reads or writes}.get(operation, False)
    if kind == "group" and name == "trunkline-reader":
        return operation == "Describe"
    in_a_group = any(service in topic.groups for topic in CATALOGUE.topics.values())
    return kind == "group" and in_a_group and name.startswith(service) and operation in ("Read", "Describe")


def test_every_decision_is_the_contract_read_once_more() -> None:
    """All services, all operations, all kinds of resources, names known and unknown."""
    deviations = [
        (service, operation.value, kind.value, name)
        for service, operation, kind, name in product(SERVICES, Operation, Kind, NAMES)
        if decide(CATALOGUE, service, operation, Asset(kind, name)).allowed
        is not expected(service, operation, kind, name)
    ]
    assert deviations == []


def test_a_decision_names_the_right_that_allows_it_and_none_where_it_is_denied() -> None:
    allowed = decide(
        CATALOGUE, "billing-service", Operation.DESCRIBE, Asset(Kind.TOPIC, "billing.usage.events")
    )
    assert [right.operations for right in allowed.rights] == [(Operation.DESCRIBE, Operation.WRITE)]
    assert allowed.because == "publishes it"
    denied = decide(CATALOGUE, "audit-service", Operation.WRITE, Asset(Kind.TOPIC, "billing.usage.events"))
    assert (denied.allowed, denied.rights) == (False, ())


def test_a_service_that_publishes_and_consumes_a_topic_has_one_right_with_both_reasons() -> None:
    (own,) = [one for one in rights(CATALOGUE, "config-service") if one.name == "config.change.events"]
    assert own.operations == (Operation.DESCRIBE, Operation.READ, Operation.WRITE)
    assert own.because == "publishes it; consumes it in its group"


@pytest.mark.parametrize("service", SERVICES)
def test_rights_are_sorted_and_no_pattern_comes_twice(service: str) -> None:
    found = rights(CATALOGUE, service)
    keys = [(right.resource, right.name, right.pattern) for right in found]
    assert keys == sorted(set(keys))
    assert all(right.because and list(right.operations) == sorted(right.operations) for right in found)
    assert all(right.name != ANY for right in found)


def test_only_who_may_is_named_as_a_holder() -> None:
    assert holders(CATALOGUE, Operation.WRITE, Asset(Kind.TOPIC, "ai.agent.events")) == ("ai-service",)
    assert set(holders(CATALOGUE, Operation.READ, Asset(Kind.TOPIC, "ai.agent.events"))) == {
        "audit-service",
        "billing-service",
    }


def test_a_service_whose_name_begins_another_ones_name_does_not_get_its_group() -> None:
    """A prefix would: a catalogue of one's own may have `audit` beside `audit-service`."""
    shorter = ServiceName("audit")
    topics = {
        name: replace(topic, consumers=(*topic.consumers, shorter), groups=(*topic.groups, shorter))
        for name, topic in CATALOGUE.topics.items()
    }
    services = {**CATALOGUE.services, shorter: Service(shorter, "Audit")}
    own = replace(CATALOGUE, services=MappingProxyType(services), topics=MappingProxyType(topics))
    assert decide(own, "audit", Operation.READ, Asset(Kind.GROUP, "audit")).allowed
    assert not decide(own, "audit", Operation.READ, Asset(Kind.GROUP, "audit-service")).allowed
    assert decide(own, "audit-service", Operation.READ, Asset(Kind.GROUP, "audit-service-2")).allowed


def test_an_unknown_service_is_answered_with_near_ones() -> None:
    with pytest.raises(InvalidInput, match="did you mean audit-service"):
        rights(CATALOGUE, "audit-servce")


def test_the_exporter_reads_only_topics_whose_lag_it_tells_and_writes_nothing() -> None:
    found = exporter_rights(CATALOGUE)
    allowed = {operation for right in found for operation in right.operations}
    assert allowed == {Operation.READ, Operation.DESCRIBE}
    read = {right.name for right in found if Operation.READ in right.operations}
    assert read == {topic.name for topic in CATALOGUE.topics.values() if topic.groups}


def test_an_operator_can_grow_a_topic_and_touch_no_event() -> None:
    found = operator_rights(CATALOGUE)
    for name in CATALOGUE.topics:
        topic = Asset(Kind.TOPIC, name)
        able = {operation for operation in Operation if any(one.allows(operation, topic) for one in found)}
        assert able == {
            Operation.ALTER,
            Operation.ALTER_CONFIGS,
            Operation.DESCRIBE,
            Operation.DESCRIBE_CONFIGS,
        }


names = st.text(alphabet="ab*", max_size=4)
some_rights = st.lists(
    st.builds(
        Right,
        resource=st.sampled_from(Kind),
        name=names,
        operations=st.lists(st.sampled_from(Operation), min_size=1, unique=True).map(tuple),
        because=st.just("it is tried"),
        pattern=st.sampled_from(Pattern),
    )
)


@given(some_rights, st.sampled_from(Operation), st.sampled_from(Kind), names)
def test_a_right_allows_what_kafkas_authoriser_would(
    given_rights: list[Right], operation: Operation, kind: Kind, name: str
) -> None:
    """The authoriser looks its ACLs up: those of the exact name, those of `*`, and those of every prefix."""
    acls = {
        (right.resource.value, right.pattern.value, right.name, granted.value)
        for right in given_rights
        for granted in right.operations
    }
    places = [("literal", name), ("literal", "*")]
    places += [("prefix", name[:length]) for length in range(len(name) + 1)]
    enough = {
        "Describe": ["Describe", "Read", "Write", "Delete", "Alter"],
        "DescribeConfigs": ["DescribeConfigs", "AlterConfigs"],
    }.get(operation.value, [operation.value])
    expected = any((kind.value, *place, granted) in acls for place in places for granted in enough)
    assert any(right.allows(operation, Asset(kind, name)) for right in given_rights) is expected
