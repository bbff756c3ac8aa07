"""The policy that keeps readers away is one that the validator would take, and that cannot fail."""

import cedarpy
import pytest

from trunkline.services.governance.quarantines import (
    POLICY_ID_MAX,
    policy_id_of,
    quarantine_body,
    strongest,
)
from trunkline.services.policies.validate import check_cedar

EVERYBODY = "permit (principal, action, resource);"


@pytest.mark.parametrize("roles", [(), ("data-steward",), ("a", "b")])
def test_nobody_but_the_exempt_reads(roles: tuple[str, ...]) -> None:
    body = quarantine_body(roles)
    check_cedar(body)
    request = {"principal": 'User::"u"', "action": 'Action::"query"', "resource": 'Table::"main.orders"'}
    stranger = cedarpy.is_authorized(request, EVERYBODY + body, [])
    assert not stranger.allowed
    assert not stranger.diagnostics.errors
    for role in roles:
        entity = {"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": [{"type": "Role", "id": role}]}
        assert cedarpy.is_authorized(request, EVERYBODY + body, [entity]).allowed


def test_an_asset_has_one_policy() -> None:
    assert policy_id_of("urn:table:main.orders") == "quarantine:table:main.orders"
    long = "urn:table:main." + "x" * 400
    assert len(policy_id_of(long)) <= POLICY_ID_MAX
    assert policy_id_of(long) != policy_id_of(long + "y")


def test_the_strongest_mode_wins_and_the_first_check_that_has_it() -> None:
    assert strongest({}) == (None, "")
    assert strongest({"b": "warn", "c": "enforce", "a": "enforce"}) == ("enforce", "a")
