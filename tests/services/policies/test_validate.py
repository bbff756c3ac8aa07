"""A bad policy is refused when it is published, with why; a good one takes its one form."""

import cedarpy
import pytest

from trunkline.errors import InvalidInput
from trunkline.services.policies.policy import Policy
from trunkline.services.policies.validate import (
    BODY_BYTES_MAX,
    CEDAR_SCHEMA,
    SCOPES,
    check_cedar,
    check_filter,
    check_mask,
    checked,
    require_bounded,
)

REQUEST = {"principal": 'User::"u"', "action": 'Action::"query"', "resource": 'Table::"hr.salary"'}


def access(body: str, *, scope: str = "urn:table:hr.salary", policy_id: str = "p") -> Policy:
    return Policy(policy_id=policy_id, version=1, kind="access", mode="enforce", scope=scope, body=body)


@pytest.mark.parametrize(
    "body",
    [
        'forbid (principal, action, resource) unless { principal in Team::"people" };',
        "forbid (principal, action, resource) unless { resource has quarantined && !resource.quarantined };",
        'permit (principal == User::"u-1", action == Action::"query", resource == Table::"hr.salary");',
        'permit (principal in Role::"analyst", action, resource) when { context has origin };',
        'permit (principal, action, resource in Schema::"hr"); forbid (principal, action, resource);',
    ],
)
def test_a_good_cedar_text_is_taken(body: str) -> None:
    assert checked(access(body)).body == body


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("permit (principal, action", "not Cedar: unexpected end of input"),
        ("", "length >= 1"),
        ("// nothing", "no policy"),
        ("permit (principal, action, resource) when { resource.owner == principal };", "`owner`"),
        ("permit (principal, action, resource) when { 1 + true == 2 };", "expected Long"),
        ('permit (principal, action == Action::"drop", resource);', "unrecognized action"),
        ('permit (principal == Team::"x", action, resource);', "applicable action"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        ('forbid (principal, action, resource == Table::"hr.other");', "outside of the scope"),
        ("forbid (principal, action, resource);" * 33, "33 Cedar policies"),
    ],
)
def test_a_bad_cedar_text_is_refused(body: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        checked(access(body))


TRAP = "forbid (principal, action, resource) when { resource.quarantined };"


def test_cedar_allows_where_a_forbid_fails_on_a_missing_attribute() -> None:
    """Why the next test is there: this is what the trap does to whoever does not know it."""
    everybody = "permit (principal, action, resource);"
    assert cedarpy.is_authorized(REQUEST, everybody + TRAP, []).allowed
    safe = (
        "forbid (principal, action, resource) unless { resource has quarantined && !resource.quarantined };"
    )
    assert not cedarpy.is_authorized(REQUEST, everybody + safe, []).allowed


@pytest.mark.parametrize(
    "body", [TRAP, 'permit (principal, action, resource) unless { context.origin == "dq" };']
)
def test_an_attribute_that_may_be_missing_is_not_read_without_asking_for_it(body: str) -> None:
    with pytest.raises(InvalidInput, match=r"may be missing.*unless \{ resource has"):
        checked(access(body))


def test_every_attribute_of_the_schema_may_be_missing() -> None:
    attributes = [line for line in CEDAR_SCHEMA.splitlines() if line.startswith("  ")]
    assert attributes
    assert all("?:" in line for line in attributes)


@pytest.mark.parametrize(
    "condition",
    ["(" * 5_000 + "true" + ")" * 5_000, "[" * 7_000 + "]" * 7_000, "{a:" * 3_000 + "1" + "}" * 3_000],
)
def test_a_text_that_would_overflow_the_stack_of_the_parser_never_reaches_it(condition: str) -> None:
    with pytest.raises(InvalidInput, match="nested deeper than 100"):
        checked(access(f"permit (principal, action, resource) when {{ {condition} }};"))


def test_brackets_in_texts_and_comments_do_not_count() -> None:
    quoted = 'permit (principal, action, resource) when { "%s" like "\\"*" }; // %s'
    check_cedar(quoted % ("(" * 200, "{" * 200))
    hidden = '(")"' * 101
    with pytest.raises(InvalidInput, match="nested deeper"):
        check_cedar(f"permit (principal, action, resource) when {{ {hidden} }};")


def test_a_chain_of_conditions_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidInput, match="too deep"):
        check_cedar("permit (principal, action, resource) when { %s true };" % ("true && " * 1_500))


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("region = 'EMEA'", "region = 'EMEA'"),
        ("region = 'EMEA' -- and no comment", "region = 'EMEA'"),
        ("lower(email) like '%@acme.example' or owner is null", None),
        ("created_at > now() - interval 30 day", None),
        ("a in (1, 2) and (b between 1 and 2 or not c)", None),
        ("TRUE", "TRUE"),
        ("FALSE", "FALSE"),
    ],
)
def test_a_good_row_filter_is_written_anew(body: str, written: str | None) -> None:
    found = check_filter(body)
    assert written is None or found == written
    assert check_filter(found) == found


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("1=1) OR (1=1", "not one SQL expression: .* at line 1, column 4"),
        ("a = 1; DROP TABLE t", "not one SQL expression"),
        ("SELECT 1", "not one SQL expression"),
        ("a IN (SELECT b FROM t)", "a subquery"),
        ("EXISTS (SELECT 1 FROM t)", "a subquery"),
        ("a = ANY (SELECT 1)", "a subquery"),
        ("t.region = 'x'", "without its table"),
        ("sum(a) > 1", "an aggregate"),
        ("row_number() OVER () = 1", "a window function"),
        ("a = ?", "a parameter"),
        ("a = $1", "a parameter"),
        ("COLUMNS('a.*')", "COLUMNS"),
        ("random() < 0.5", "function rand "),
        ("nextval('s') = a", "function nextval "),
        ("read_csv('/etc/passwd') = a", "function read_csv "),
        ("getenv('HOME') = a", "function getenv "),
        ("current_user = a", "function current_user "),
        ("1 = 1", "names no column"),
        ("'x'", "names no column"),
        ("(" * 5_000 + "a" + ")" * 5_000, "nested deeper"),
        ("a OR " * 2_000 + "a", "nested deeper"),
        ("[a]", "is no predicate"),
    ],
)
def test_a_bad_row_filter_is_refused(body: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        check_filter(body)


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("NULL", "NULL"),
        ("left(_, 3) || '***'", "LEFT(_, 3) || '***'"),
        ("sha256(C_Phone)", "SHA256(C_Phone)"),
        ("CASE WHEN _ IS NULL THEN NULL ELSE '***' END", None),
        ("regexp_replace(_, '[0-9]', '#', 'g')", None),
    ],
)
def test_a_mask_sees_its_value(body: str, written: str | None) -> None:
    found = check_mask(body, column="c_phone")
    assert written is None or found == written
    assert check_mask(found, column="c_phone") == found


@pytest.mark.parametrize(
    ("body", "column"),
    [("c_name", "c_phone"), ("_ || c_name", "c_phone"), ("t._", None), ("c_phone", None)],
)
def test_a_mask_sees_nothing_else_of_the_row(body: str, column: str | None) -> None:
    with pytest.raises(InvalidInput, match="a mask sees only"):
        check_mask(body, column=column)


@pytest.mark.parametrize(
    ("kind", "scope", "why"),
    [
        ("access", "urn:column:a.b.c", "access cannot be about a column"),
        ("mask", "urn:table:a.b", "mask cannot be about a table"),
        ("row_filter", "urn:column:a.b.c", "row_filter cannot be about a column"),
        ("access", "orders", "scope 'orders'"),
        ("quarantine", "urn:table:a.b", "governance's own"),
    ],
)
def test_a_policy_is_about_what_its_kind_can_be_about(kind: str, scope: str, why: str) -> None:
    one = Policy(policy_id="p", version=1, kind=kind, mode="enforce", scope=scope, body="x")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=why):
        checked(one)


def test_every_kind_that_people_publish_has_its_scopes() -> None:
    assert set(SCOPES) == {"access", "row_filter", "mask", "retention"}


@pytest.mark.parametrize("policy_id", ["quarantine:x", "-x", "x y", "x" * 129])
def test_an_id_cannot_be_taken_for_one_of_governance(policy_id: str) -> None:
    with pytest.raises(InvalidInput, match="an id has up to 128"):
        checked(access("forbid (principal, action, resource);", policy_id=policy_id))


def test_a_body_is_bounded() -> None:
    with pytest.raises(InvalidInput, match=f"bytes of {BODY_BYTES_MAX}"):
        checked(access("forbid (principal, action, resource);" + " " * BODY_BYTES_MAX))


@pytest.mark.parametrize(
    ("body", "good"), [("P90D", True), ("P1Y6M", True), ("90 days", False), ("P", False)]
)
def test_a_retention_is_a_duration(body: str, good: bool) -> None:
    one = Policy(policy_id="p", version=1, kind="retention", mode="enforce", scope="*", body=body)
    if good:
        assert checked(one).body == body
        return
    with pytest.raises(InvalidInput, match="ISO 8601"):
        checked(one)


def test_a_scope_takes_its_one_form() -> None:
    body = "forbid (principal, action, resource);"
    assert checked(access(body, scope="urn:table:HR.Salary")).scope == "urn:table:hr.salary"


def test_a_bundle_is_bounded_and_quarantines_do_not_count() -> None:
    many = [access("x", policy_id=f"p{number}") for number in range(1_001)]
    with pytest.raises(InvalidInput, match="up to 1000 policies"):
        require_bounded(many)
    quarantine = Policy(
        policy_id="quarantine:x", version=1, kind="quarantine", mode="enforce", scope="*", body="x"
    )
    require_bounded([*many[:1_000], *([quarantine] * 500)])
    large = [access("x" * 16_000, policy_id=f"p{number}") for number in range(400)]
    with pytest.raises(InvalidInput, match="would take"):
        require_bounded(large)


@pytest.mark.parametrize(
    "body", ["x IN (SELECT 1 FROM t " + "JOIN t " * 60 + ")", "(" + "FROM " * 3_000 + "t)", "x -> -> 1"]
)
def test_sql_that_would_take_the_parser_hours_or_its_stack_is_refused(body: str) -> None:
    with pytest.raises(InvalidInput):
        check_filter(body)
