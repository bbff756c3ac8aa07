"""Which policies hold for a table, by scope and mode, and what they do to it."""

import pytest

from trunkline.services.policies.policy import Policy
from trunkline.services.query.cedar import Principal
from trunkline.services.query.relations import Relation
from trunkline.services.query.rules import TableRules
from trunkline.testing.query import policy

SALARY = Relation(schema="hr", name="Salary", columns=("id", "Name", "secret"))
READER = Principal(user="u-17")
FORBID = "forbid (principal, action, resource);"


def rules(*found: Policy, tags: dict[str, str] | None = None) -> TableRules:
    return TableRules(SALARY, found, tags or {}, open_by_default=True)


def denied_by(made: TableRules) -> str | None:
    said = made.decide(READER, origin="user").denied_by
    return None if said is None else said.policy_id


@pytest.mark.parametrize("scope", ["*", "urn:schema:hr", "urn:table:hr.salary", "urn:table:HR.Salary"])
def test_a_scope_covers_the_table_whatever_its_case(scope: str) -> None:
    assert denied_by(rules(policy("access", scope, FORBID, policy_id="p"))) == "p"


@pytest.mark.parametrize("scope", ["urn:schema:sales", "urn:table:hr.people", "urn:tag:personal"])
def test_a_scope_of_something_else_does_not(scope: str) -> None:
    assert denied_by(rules(policy("access", scope, FORBID))) is None


def test_a_scope_that_nobody_understands_covers_everything() -> None:
    assert denied_by(rules(policy("access", "urn:nonsense:x", FORBID, policy_id="p"))) == "p"


def test_a_table_bears_its_tags_and_those_of_its_columns() -> None:
    tagged = policy("access", "urn:tag:personal", FORBID, policy_id="p")
    assert denied_by(rules(tagged, tags={"urn:table:hr.salary": "personal"})) == "p"
    assert denied_by(rules(tagged, tags={"urn:column:hr.salary.name": "personal"})) == "p"
    assert denied_by(rules(tagged, tags={"urn:column:hr.other.name": "personal"})) is None


def test_a_mask_by_tag_masks_the_columns_that_bear_it() -> None:
    mask = policy("mask", "urn:tag:personal", "md5(_)", policy_id="p")
    one = rules(mask, tags={"urn:column:hr.salary.name": "personal"})
    assert one.decide(READER, origin="user").masks == {"Name": ("p",)}
    whole = rules(mask, tags={"urn:table:hr.salary": "personal"})
    assert set(whole.decide(READER, origin="user").masks) == {"id", "Name", "secret"}


def test_filters_are_all_applied_and_masks_one_after_the_other() -> None:
    made = rules(
        policy("row_filter", "*", "id > 1", policy_id="f-1"),
        policy("row_filter", "urn:table:hr.salary", "NAME <> 'x'", policy_id="f-2"),
        policy("mask", "urn:column:hr.salary.secret", "left(_, 2)", policy_id="m-1"),
        policy("mask", "urn:column:hr.salary.secret", "upper(secret)", policy_id="m-2"),
    )
    assert made.decide(READER, origin="user").filters == ("f-1", "f-2")
    assert made.guard is not None
    assert made.guard.condition == '("Salary"."id" > 1) AND ("Salary"."Name" <> \'x\')'
    assert made.guard.columns == (
        '"Salary"."id", "Salary"."Name", (UPPER((LEFT("Salary"."secret", 2)))) AS "secret"'
    )


@pytest.mark.parametrize(
    ("kind", "scope", "body"),
    [
        ("row_filter", "*", "missing = 1"),
        ("row_filter", "*", "other.id = 1"),
        ("row_filter", "*", "this is (no SQL"),
        ("mask", "urn:column:hr.salary.secret", "name"),
        ("mask", "urn:column:hr.salary.secret", "((("),
        ("access", "*", "no Cedar"),
        ("quarantine", "urn:table:hr.salary", ""),
    ],
)
def test_a_policy_that_cannot_be_applied_denies_or_is_refused(kind: str, scope: str, body: str) -> None:
    made = rules(policy(kind, scope, body or "quarantined", policy_id="p"))
    assert denied_by(made) == "p"


@pytest.mark.parametrize("mode", ["warn", "monitor"])
def test_a_policy_that_is_not_in_force_changes_nothing_and_says_what_it_would_do(mode: str) -> None:
    made = rules(
        policy("access", "*", FORBID, mode=mode, policy_id="a"),
        policy("row_filter", "*", "id > 1", mode=mode, policy_id="f"),
        policy("mask", "urn:column:hr.salary.secret", "md5(_)", mode=mode, policy_id="m"),
    )
    decision = made.decide(READER, origin="user")
    assert (decision.denied_by, decision.filters, decision.masks) == (None, (), {})
    assert made.guard is None
    assert {(note.mode, note.policy_id) for note in decision.notes} == {(mode, "a"), (mode, "f"), (mode, "m")}


def test_a_permit_to_come_does_not_close_a_table_yet() -> None:
    coming = policy("access", "*", 'permit (principal in Team::"x", action, resource);', mode="warn")
    decision = rules(coming).decide(READER, origin="user")
    assert decision.denied_by is None
    assert [note.mode for note in decision.notes] == ["warn"]


def test_a_quarantine_lets_those_through_whom_governance_named() -> None:
    body = 'forbid (principal, action, resource) unless { principal in [Role::"steward"] };'
    made = rules(policy("quarantine", "urn:table:hr.salary", body, policy_id="quarantine:table:hr.salary"))
    assert denied_by(made) == "quarantine:table:hr.salary"
    steward = Principal(user="u-1", roles=frozenset({"steward"}))
    assert made.decide(steward, origin="user").denied_by is None


def test_retention_decides_nothing_about_readers() -> None:
    assert denied_by(rules(policy("retention", "*", "P90D"))) is None
