"""ACLs of a plain Kafka: the same rights as the KafkaUsers', one operation each."""

from typing import Any, Final

from trunkline.catalogue.access import CLUSTER_NAME, Kind
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.acls import acls
from trunkline.deploy.users import users
from trunkline.testing.clusters import a_cluster

CATALOGUE: Final = load_catalogue()
KINDS: Final = {"transactionalId": Kind.TRANSACTIONAL_ID}


def strimzi_makes_of(user: dict[str, Any]) -> set[tuple[str, str, str, str, str]]:
    """As its user operator does: one ACL for each operation of each rule."""
    return {
        (
            f"User:{user['metadata']['name']}",
            KINDS.get(rule["resource"]["type"], rule["resource"]["type"]),
            rule["resource"].get("name", CLUSTER_NAME),
            rule["resource"].get("patternType", "literal"),
            operation,
        )
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    }


def test_a_plain_kafka_gets_what_strimzi_would_make_of_the_users() -> None:
    expected = set().union(
        *(strimzi_makes_of(user.manifest()) for user in users(CATALOGUE, "production", a_cluster()))
    )
    found = [
        (acl.principal, acl.resource.value, acl.name, acl.pattern.value, acl.operation.value)
        for acl in acls(CATALOGUE)
    ]
    assert set(found) == expected
    assert len(found) == len(expected)


def test_they_are_sorted_and_from_any_host() -> None:
    found = acls(CATALOGUE)
    assert list(found) == sorted(found)
    assert {acl.host for acl in found} == {"*"}


def test_a_user_may_have_a_principal_that_is_not_its_name() -> None:
    found = acls(CATALOGUE, principals={"audit-service": "User:CN=audit-service"})
    principals = {acl.principal for acl in found}
    assert "User:CN=audit-service" in principals
    assert "User:audit-service" not in principals
    assert "User:billing-service" in principals
