"""How an event class answers who, what, on which thing, and how it ended."""

from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events.audit_view import AuditFields, AuditRule, audit_fields


class Opened(msgspec.Struct, kw_only=True):
    door: str
    user: str | None = None
    kind: str = "gate"
    who: str = "api_key"
    how: str = "denied"
    what: str = "unlock"


FULL: dict[str, Any] = {
    "actor_type_field": "who",
    "action_field": "what",
    "resource_field": "kind",
    "outcome_field": "how",
}


def test_without_an_actor_field_the_platform_itself_acted() -> None:
    rule = AuditRule(resource="door", resource_id="door")
    assert audit_fields(Opened(door="7"), "door.opened.v1", rule) == AuditFields(
        "system", "platform", "door.opened", "door", "7", "success"
    )


def test_an_actor_that_the_event_does_not_name_is_unknown() -> None:
    rule = AuditRule(resource="door", resource_id="door", actor_id="user")
    assert audit_fields(Opened(door="7"), "door.opened.v2", rule).actor_id == "unknown"
    assert audit_fields(Opened(door="7", user="ada"), "door.opened.v2", rule).actor_id == "ada"


def test_fields_of_the_event_override_the_constants() -> None:
    rule = AuditRule(resource="door", resource_id="door", actor_id="user", **FULL)
    assert audit_fields(Opened(door="7", user="ada"), "door.opened.v1", rule) == AuditFields(
        "api_key", "ada", "unlock", "gate", "7", "denied"
    )


@pytest.mark.parametrize("name", ["actor_id", *FULL])
def test_a_rule_that_names_a_field_the_class_lacks_is_refused(name: str) -> None:
    absent: dict[str, Any] = {name: "absent"}
    rule = AuditRule(resource="door", resource_id="door", **absent)
    with pytest.raises(ValueError, match="'absent', which Opened lacks"):
        rule.check(Opened, "door.opened.v1")
