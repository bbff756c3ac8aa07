"""Plans of a whole cluster."""

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.kafka.acls import Binding
from trunkline.deploy.acls import acls
from trunkline.errors import InvalidInput
from trunkline.operate.acls import wanted_bindings
from trunkline.operate.change import Risk
from trunkline.operate.live import Live
from trunkline.operate.plan import BY_OPERATORS, cluster_plan, joined, principals

CATALOGUE = load_catalogue()
KNOWN_AS = principals(CATALOGUE, "production")
EMPTY = Live(cluster_id="it", topics={}, acls=frozenset())


def test_users_with_certificates_are_known_by_their_subject() -> None:
    assert KNOWN_AS["audit-service"] == "User:CN=audit-service"
    assert KNOWN_AS["trunkline-operator"] == "User:CN=trunkline-operator"


def test_a_template_says_what_a_cluster_takes_users_for() -> None:
    found = principals(CATALOGUE, "production", "User:CN={name},O=Example")
    assert found["audit-service"] == "User:CN=audit-service,O=Example"


@pytest.mark.parametrize("template", ["CN={name}", "User:name", ""])
def test_a_template_without_the_name_or_the_kind_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput, match="--principal"):
        principals(CATALOGUE, "production", template)


def test_an_empty_cluster_needs_every_topic_and_every_acl() -> None:
    plan = cluster_plan(CATALOGUE, "production", EMPTY, known_as=KNOWN_AS, operated=False)
    kinds = [change.kind for change in plan.changes]
    assert (kinds.count("topic"), kinds.count("ACL")) == (
        14,
        len(wanted_bindings(acls(CATALOGUE, principals=KNOWN_AS))),
    )
    assert plan.risk is Risk.SAFE


def test_a_cluster_without_an_authoriser_is_said_to_have_none() -> None:
    bare = Live(cluster_id="it", topics={}, acls=None)
    plan = cluster_plan(CATALOGUE, "production", bare, known_as=KNOWN_AS, operated=False)
    assert {change.kind for change in plan.changes} == {"topic"}
    assert "no authoriser" in plan.notes[0]


def test_where_operators_write_the_cluster_nobody_else_does() -> None:
    plan = cluster_plan(CATALOGUE, "production", EMPTY, known_as=KNOWN_AS, operated=True)
    assert {change.remedy for change in plan.changes} == {BY_OPERATORS}


def test_what_known_principals_may_is_no_drift() -> None:
    wanted = wanted_bindings(acls(CATALOGUE, principals=KNOWN_AS))
    watcher = Binding("User:watcher", "topic", "*", "literal", "Describe")
    live = Live(cluster_id="it", topics={}, acls=wanted | {watcher})

    def acls_of(known: tuple[str, ...]) -> list[str]:
        plan = cluster_plan(CATALOGUE, "production", live, known_as=KNOWN_AS, operated=False, known=known)
        return [change.name for change in plan.changes if change.kind == "ACL"]

    assert acls_of(()) == ["User:watcher"]
    assert acls_of(("User:watcher",)) == []


def test_topics_of_others_are_named_and_left_alone() -> None:
    live = Live(cluster_id="it", topics={}, acls=None, others=tuple(f"shop.{n}" for n in range(7)))
    plan = cluster_plan(CATALOGUE, "production", live, known_as=KNOWN_AS, operated=False)
    assert any("shop.0, shop.1, shop.2, shop.3, shop.4 and 2 more" in note for note in plan.notes)


def test_plans_are_joined_in_their_order() -> None:
    one = cluster_plan(CATALOGUE, "production", EMPTY, known_as=KNOWN_AS, operated=False)
    both = joined("production", [one, one])
    assert both.changes == one.changes * 2
