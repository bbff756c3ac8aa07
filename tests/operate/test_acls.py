"""The catalogue's rights against a cluster's ACLs."""

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.kafka.acls import Binding
from trunkline.deploy.acls import acls
from trunkline.operate.acls import acl_changes, text, wanted_bindings
from trunkline.operate.change import Change, Risk, Verb

CATALOGUE = load_catalogue()
WANTED = wanted_bindings(acls(CATALOGUE))
TOPICS = [*CATALOGUE.topics, "trunkline.tenant.ends"]
PUBLISHES = Binding("User:billing-service", "topic", "billing.usage.events", "literal", "Write")


def changes_of(found: frozenset[Binding]) -> list[Change]:
    return acl_changes(WANTED, found, TOPICS)


def the_change_of(surplus: Binding) -> Change:
    (change,) = changes_of(WANTED | {surplus})
    return change


def test_the_catalogues_own_acls_are_as_the_catalogue_says() -> None:
    assert PUBLISHES in WANTED
    assert changes_of(WANTED) == []


def test_a_right_that_is_missing_is_given_safely() -> None:
    (change,) = changes_of(WANTED - {PUBLISHES})
    assert (change.verb, change.name, change.risk) == (Verb.CREATE, "User:billing-service", Risk.SAFE)
    assert change.wanted == "Write on topic billing.usage.events"


def test_a_right_too_many_of_a_service_is_taken_only_if_cutting_off_is_allowed() -> None:
    change = the_change_of(PUBLISHES._replace(principal="User:audit-service"))
    assert (change.verb, change.risk, change.remedy) == (Verb.DELETE, Risk.ACCESS, "")


def test_a_deny_of_a_service_is_a_right_too_few() -> None:
    change = the_change_of(PUBLISHES._replace(permission="deny"))
    assert change.found == "deny Write on topic billing.usage.events"
    assert "denies" in change.why


@pytest.mark.parametrize(
    "opening",
    [
        Binding("User:mallory", "topic", "billing.usage.events", "literal", "Read"),
        Binding("User:mallory", "topic", "billing.", "prefix", "Read"),
        Binding("User:mallory", "topic", "*", "literal", "All"),
        Binding("User:*", "topic", "trunkline.tenant.ends", "literal", "Read"),
        Binding("User:mallory", "group", "billing-service", "literal", "Read"),
        Binding("User:mallory", "group", "billing-service-2", "literal", "Read"),
        Binding("User:mallory", "group", "bill", "prefix", "Read"),
        Binding("User:mallory", "group", "*", "literal", "Read", host="10.0.0.1"),
        Binding("User:*", "cluster", "kafka-cluster", "literal", "Alter"),
        Binding("User:mallory", "cluster", "kafka-cluster", "literal", "All"),
    ],
)
def test_what_opens_ours_to_others_is_drift_and_theirs_to_take(opening: Binding) -> None:
    change = the_change_of(opening)
    assert change.risk is Risk.ACCESS
    assert "takes nothing from others" in change.remedy


@pytest.mark.parametrize(
    "elsewhere",
    [
        Binding("User:mallory", "topic", "shop.orders", "literal", "All"),
        Binding("User:mallory", "topic", "shop.", "prefix", "All"),
        Binding("User:mallory", "group", "shop", "prefix", "Read"),
        Binding("User:broker", "cluster", "kafka-cluster", "literal", "ClusterAction"),
    ],
)
def test_what_others_have_elsewhere_is_their_own_affair(elsewhere: Binding) -> None:
    assert changes_of(WANTED | {elsewhere}) == []


def test_where_no_acl_means_that_everybody_may_the_first_one_cuts_others_off() -> None:
    changes = acl_changes(WANTED, frozenset(), TOPICS, is_open=True)
    assert {(change.verb, change.risk) for change in changes} == {(Verb.CREATE, Risk.ACCESS)}
    assert "allow.everyone.if.no.acl.found" in changes[0].why


def test_a_binding_reads_as_one_phrase() -> None:
    prefixed = Binding("User:a", "group", "audit", "prefix", "Read", host="10.0.0.1")
    assert text(prefixed) == "Read on group names that begin with audit from 10.0.0.1"


def test_no_two_bindings_of_a_principal_read_alike() -> None:
    assert len({(one.principal, text(one)) for one in WANTED}) == len(WANTED)
