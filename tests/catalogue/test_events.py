"""What every declared event type must be."""

import inspect
import re
from types import MappingProxyType
from typing import Any

import msgspec
import msgspec.inspect as mi
import pytest

from trunkline.catalogue.events import EVENT_TYPES, Event, declaration_of, event, event_type_of
from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import EventType

ALL_TYPES = pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
RULE = AuditRule(resource="thing", resource_id="name")

PROMISED = """
tenant: created activated tier_changed suspended reactivated deletion_scheduled deleted provisioning_failed
query: submitted completed failed cancelled denied
agent: run_started run_completed run_failed tool_called tokens_used
model: registered version_created alias_set alias_removed tag_set stage_changed
model: tag_removed deployed undeployed drift_detected deleted
pipeline: run_started run_running run_completed run_failed run_aborted
quality: check_passed check_failed anomaly_detected anomaly_resolved score_changed sla_breached
usage: threshold_reached quota_exceeded period_closed correction_recorded
config: value_set value_unset flag_changed snapshot_published
auth: login_succeeded login_failed
access: permission_granted permission_revoked role_assigned role_unassigned api_key_created api_key_revoked
access: data_accessed api_called erasure_requested erasure_completed
policy: published revoked bundle_activated asset_quarantined asset_released classification_changed
policy: snapshot_published heartbeat
"""


def instance(event_type: str) -> Event:
    declaration = EVENT_TYPES[EventType(event_type)]
    return msgspec.convert(dict(declaration.example), declaration.cls)


def test_the_first_set_of_types_is_complete() -> None:
    promised = {
        f"{domain}.{happening}.v1"
        for domain, _, happenings in (line.partition(":") for line in PROMISED.strip().splitlines())
        for happening in happenings.split()
    }
    assert set(EVENT_TYPES) == promised


def test_every_topic_of_the_contract_carries_events_and_no_other_topic_does() -> None:
    assert {declaration.topic for declaration in EVENT_TYPES.values()} == set(load_catalogue().topics)


@ALL_TYPES
def test_the_example_shows_every_field_that_must_be_given(event_type: str) -> None:
    declaration = EVENT_TYPES[EventType(event_type)]
    fields = msgspec.structs.fields(declaration.cls)
    assert {field.name for field in fields if field.required} <= set(declaration.example)
    assert set(declaration.example) <= {field.name for field in fields}


@ALL_TYPES
def test_a_type_is_found_by_its_class_and_by_its_instance(event_type: str) -> None:
    declaration = EVENT_TYPES[EventType(event_type)]
    assert event_type_of(declaration.cls) == event_type_of(instance(event_type)) == event_type
    assert declaration_of(declaration.cls) is declaration


@ALL_TYPES
def test_the_audit_view_answers_every_question(event_type: str) -> None:
    view = instance(event_type).summary()
    assert view.actor_type in ("user", "service", "system", "api_key", "anonymous")
    assert view.outcome in ("success", "failure", "denied")
    assert view.actor_id
    assert view.action
    assert view.resource_type
    assert view.resource_id


@ALL_TYPES
def test_a_class_says_what_it_means(event_type: str) -> None:
    doc = inspect.getdoc(EVENT_TYPES[EventType(event_type)].cls)
    assert doc
    assert doc.partition("\n")[0].endswith(".")


@ALL_TYPES
def test_every_text_and_number_is_bounded(event_type: str) -> None:
    info = mi.type_info(EVENT_TYPES[EventType(event_type)].cls)
    assert isinstance(info, mi.StructType)
    for field in info.fields:
        for kind in parts(field.type):
            match kind:
                case mi.StrType(max_length=None, pattern=None):
                    raise AssertionError(f"{field.name} is a text without bound")
                case mi.IntType(ge=low, le=high):
                    assert low is not None, field.name
                    assert high is not None, field.name


def parts(kind: Any) -> list[mi.Type]:
    match kind:
        case mi.UnionType(types=types):
            return [part for item in types for part in parts(item)]
        case mi.VarTupleType(item_type=item):
            return parts(item)
        case mi.DictType(key_type=key, value_type=value):
            return [] if isinstance(value, mi.AnyType) else [*parts(key), *parts(value)]
        case mi.Metadata(type=inner):
            return parts(inner)
        case _:
            return [kind]


def test_nothing_that_is_billed_is_a_float() -> None:
    for name in ("query", "ai", "billing"):
        for declaration in EVENT_TYPES.values():
            if declaration.domain == name:
                info = mi.type_info(declaration.cls)
                assert isinstance(info, mi.StructType)
                kinds = [part for field in info.fields for part in parts(field.type)]
                assert not any(isinstance(kind, mi.FloatType) for kind in kinds)


def test_a_cloud_api_call_is_what_an_audit_search_needs() -> None:
    view = instance("access.api_called.v1").summary()
    assert (view.actor_type, view.actor_id) == ("user", "arn:aws:iam::123456789012:user/ana")
    assert (view.action, view.outcome) == ("s3.amazonaws.com:GetBucketAcl", "denied")
    assert (view.resource_type, view.resource_id) == ("AWS::S3::Bucket", "arn:aws:s3:::quarterly-reports")


@pytest.mark.parametrize(
    ("name", "topic", "example", "audit", "words"),
    [
        ("Thing.made.v1", "a.b.c", {"name": "x"}, RULE, "is not {entity}"),
        ("thing.made", "a.b.c", {"name": "x"}, RULE, "is not {entity}"),
        ("thing.made.v0", "a.b.c", {"name": "x"}, RULE, "is not {entity}"),
        ("thing.made.v1", "a.b", {"name": "x"}, RULE, "is not {domain}"),
        ("thing.made.v1", "a.b.c", {"name": 1}, RULE, "example of thing.made.v1 is not valid"),
        ("thing.made.v1", "a.b.c", {"name": "x"}, AuditRule(resource="t", resource_id="id"), "names 'id'"),
        ("query.completed.v1", "a.b.c", {"name": "x"}, RULE, "declared twice"),
    ],
)
def test_a_wrong_declaration_fails_at_import(
    name: str, topic: str, example: dict[str, Any], audit: AuditRule, words: str
) -> None:
    def declare() -> None:
        @event(name, topic=topic, example=MappingProxyType(example), audit=audit)
        class Thing(Event, frozen=True, kw_only=True):
            name: str

    with pytest.raises(ValueError, match=re.escape(words)):
        declare()


def test_a_class_without_declaration_has_no_type() -> None:
    class Undeclared(Event, frozen=True, kw_only=True):
        name: str

    with pytest.raises(TypeError, match="not declared"):
        event_type_of(Undeclared)
