"""The KafkaUsers: nobody has more or less than the catalogue says, and Strimzi takes them whole."""

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest
import yaml

from trunkline.catalogue.access import CLUSTER_NAME, Kind, Right, exporter_rights, operator_rights, rights
from trunkline.catalogue.cluster import Authentication, Cluster, Quota
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Service
from trunkline.catalogue.names import RESERVED_SERVICES, ServiceName
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.text import documents
from trunkline.deploy.users import OPERATOR, users
from trunkline.errors import InvalidInput
from trunkline.testing.clusters import a_cluster
from trunkline.testing.kubernetes import problems

CATALOGUE: Final = load_catalogue()
QUOTA: Final = Quota(producer_byte_rate=1_000, consumer_byte_rate=2_000, request_percentage=50)
KINDS: Final = {"topic": Kind.TOPIC, "group": Kind.GROUP, "cluster": Kind.CLUSTER}


def rendered(cluster: Cluster) -> dict[str, Any]:
    """What a reader of the YAML gets, by name."""
    text = documents(users(CATALOGUE, "production", cluster))
    return {found["metadata"]["name"]: found for found in yaml.safe_load_all(text)}


def granted(user: dict[str, Any]) -> set[tuple[Kind, str, str, frozenset[str]]]:
    return {
        (
            KINDS[acl["resource"]["type"]],
            acl["resource"].get("name", CLUSTER_NAME),
            acl["resource"].get("patternType", "literal"),
            frozenset(acl["operations"]),
        )
        for acl in user["spec"]["authorization"]["acls"]
    }


def test_every_user_has_exactly_the_catalogues_rights() -> None:
    found = rendered(a_cluster())
    expected: dict[str, tuple[Right, ...]] = {
        service: rights(CATALOGUE, service) for service in CATALOGUE.services
    }
    expected |= {EXPORTER: exporter_rights(CATALOGUE), OPERATOR: operator_rights(CATALOGUE)}
    assert found.keys() == expected.keys()
    for name, user in found.items():
        assert granted(user) == {
            (right.resource, right.name, right.pattern.value, frozenset(right.operations))
            for right in expected[name]
        }


def test_the_contracts_topics_are_written_and_read_by_whom_it_names() -> None:
    """Read from the YAML alone: a topic has one writer, and those readers."""
    found = {
        name: granted(user) for name, user in rendered(a_cluster()).items() if name in CATALOGUE.services
    }
    for topic in CATALOGUE.topics.values():
        able = {
            operation: {
                name
                for name, acls in found.items()
                if any(acl[1] == topic.name and operation in acl[3] for acl in acls)
            }
            for operation in ("Write", "Read", "Alter", "Delete", "Create", "All")
        }
        assert able == {
            "Write": {topic.publisher},
            "Read": set(topic.consumers),
            **{operation: set() for operation in ("Alter", "Delete", "Create", "All")},
        }


@pytest.mark.parametrize("authentication", Authentication)
@pytest.mark.parametrize("quota", [None, QUOTA])
def test_strimzi_takes_every_user_whole(
    schemas: Path, authentication: Authentication, quota: Quota | None
) -> None:
    found = rendered(a_cluster(authentication=authentication, quota=quota))
    assert [problem for user in found.values() for problem in problems(user, schemas)] == []


@pytest.mark.parametrize("authentication", Authentication)
def test_all_prove_who_they_are_as_the_cluster_says(authentication: Authentication) -> None:
    for user in rendered(a_cluster(authentication=authentication)).values():
        assert user["spec"]["authentication"] == {"type": authentication.value}
        assert user["metadata"]["labels"] == {"strimzi.io/cluster": "backbone"}


def test_no_service_can_have_the_name_of_ones_own_principal() -> None:
    assert {EXPORTER, OPERATOR} == RESERVED_SERVICES


def test_a_quota_is_the_services_and_not_of_who_looks_at_them() -> None:
    limits = {"producerByteRate": 1_000, "consumerByteRate": 2_000, "requestPercentage": 50}
    for name, user in rendered(a_cluster(quota=QUOTA)).items():
        assert user["spec"].get("quotas") == (limits if name in CATALOGUE.services else None)
    assert not [user for user in rendered(a_cluster()).values() if "quotas" in user["spec"]]


def test_each_right_says_what_it_is_for() -> None:
    lines = documents(users(CATALOGUE, "production", a_cluster())).splitlines()
    reasons = [lines[place - 1].strip() for place, line in enumerate(lines) if line.strip() == "resource:"]
    assert all(re.fullmatch(r"# [A-Z`].*\.", reason) for reason in reasons), reasons
    assert "# Publishes it; consumes it in its group." in reasons


def test_a_name_that_no_certificate_carries_is_refused_unless_passwords_are_used() -> None:
    long = ServiceName("a" * 65)
    services = {**CATALOGUE.services, long: Service(long, "Long")}
    own = replace(CATALOGUE, services=MappingProxyType(services))
    with pytest.raises(InvalidInput, match=r"65 characters.*at most 64.*scram-sha-512"):
        list(users(own, "production", a_cluster()))
    assert list(users(own, "production", a_cluster(authentication=Authentication.SCRAM)))
