"""Cedar decides as the module says: forbids win, errors deny, and a table is open until somebody permits."""

import pytest

from trunkline.services.policies.policy import Policy
from trunkline.services.query.cedar import CLOSED, Access, Principal, Subject
from trunkline.testing.query import policy

READER = Principal(user="u-17", teams=frozenset({"sales"}), roles=frozenset({"analyst"}))
SALARY = Subject(schema="hr", table="salary", tags=frozenset({"personal"}), classification="personal")
FORBID = "forbid (principal, action, resource);"
PERMIT = "permit (principal, action, resource);"


def access(*bodies: str) -> list[Policy]:
    return [policy("access", "*", body, policy_id=f"p-{number}") for number, body in enumerate(bodies)]


def denied_by(*bodies: str, reader: Principal = READER, open_by_default: bool = True) -> str | None:
    said = Access(access(*bodies), open_by_default=open_by_default).against(reader, SALARY, origin="user")
    return None if said is None else said.policy_id


def test_a_table_that_no_policy_is_about_is_open_unless_it_is_set_to_be_closed() -> None:
    assert denied_by() is None
    assert denied_by(open_by_default=False) == CLOSED


def test_a_text_that_would_overflow_the_parser_denies_and_does_not_end_the_process() -> None:
    nested = "(" * 6_000 + "true" + ")" * 6_000
    assert denied_by(f"permit (principal, action, resource) when {{ {nested} }};") == "p-0"


def test_forbids_alone_leave_a_table_open_to_all_others() -> None:
    body = 'forbid (principal, action, resource) unless { principal in Team::"people" };'
    assert denied_by(body) == "p-0"
    assert denied_by(body, reader=Principal(user="u-1", teams=frozenset({"people"}))) is None


def test_one_permit_closes_a_table_to_all_whom_none_permits() -> None:
    assert denied_by('permit (principal in Role::"admin", action, resource);') == "p-0"
    assert denied_by('permit (principal in Role::"analyst", action, resource);') is None


def test_a_forbid_wins_against_any_permit() -> None:
    assert denied_by(PERMIT, FORBID, PERMIT) == "p-1"


def test_a_user_is_named_and_a_name_cannot_break_out_of_its_quotes() -> None:
    assert denied_by('forbid (principal == User::"u-17", action, resource);') == "p-0"
    evil = Principal(user='x" || true; permit(principal,action,resource); //')
    assert denied_by('permit (principal == User::"x", action, resource);', reader=evil) == "p-0"


@pytest.mark.parametrize(
    "body",
    [
        'forbid (principal == User::"other", action, resource);',
        'forbid (principal, action, resource in Schema::"sales");',
        'forbid (principal, action, resource == Table::"hr.people");',
        'forbid (principal, action, resource in Tag::"secret");',
        'forbid (principal, action, resource) when { context has origin && context.origin == "dq" };',
    ],
)
def test_a_forbid_about_something_else_denies_nothing(body: str) -> None:
    assert denied_by(body) is None


@pytest.mark.parametrize(
    "body",
    [
        'forbid (principal, action == Action::"query", resource in Schema::"hr");',
        'forbid (principal, action, resource == Table::"hr.salary");',
        'forbid (principal, action, resource in Tag::"personal");',
        'forbid (principal, action, resource) when { resource.tags.contains("personal") };',
        'forbid (principal, action, resource) when { resource.classification == "personal" };',
        'forbid (principal, action, resource) when { context has origin && context.origin == "user" };',
    ],
)
def test_a_forbid_about_this_table_denies(body: str) -> None:
    assert denied_by(body) == "p-0"


def test_a_forbid_that_asks_for_a_missing_attribute_does_not_allow() -> None:
    """Cedar skips a policy whose evaluation fails; then the permit alone would decide."""
    trap = "forbid (principal, action, resource) when { resource.embargo };"
    assert denied_by(PERMIT, trap) == "p-1"
    assert denied_by(trap) == "p-0"


def test_a_permit_that_fails_denies_even_if_another_permits() -> None:
    assert denied_by(PERMIT, "permit (principal, action, resource) when { resource.missing };") == "p-1"


@pytest.mark.parametrize("body", ["not cedar", "permit (principal, action);", "", "forbid"])
def test_what_is_not_cedar_denies(body: str) -> None:
    found = Access(access(PERMIT, body), open_by_default=True).against(READER, SALARY, origin="user")
    if body:
        assert found is not None
        assert found.policy_id == "p-1"
        assert "cannot be read" in found.reason
    else:
        assert found is None


def test_the_reason_is_the_title_of_the_policy() -> None:
    titled = policy("access", "*", FORBID)
    found = Access([titled], open_by_default=True).against(READER, SALARY, origin="user")
    assert found is not None
    assert found.reason == "it forbids this"
