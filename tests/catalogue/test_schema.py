"""The exported schemas accept what our decoder accepts."""

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.names import EventType
from trunkline.catalogue.schema import DIALECT, event_schema, event_schemas

ALL_TYPES = pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))


def validator(event_type: str) -> jsonschema.Draft202012Validator:
    schema = event_schema(EVENT_TYPES[EventType(event_type)])
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@ALL_TYPES
def test_a_schema_is_valid_names_itself_and_survives_json(event_type: str) -> None:
    schema = event_schema(EVENT_TYPES[EventType(event_type)])
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DIALECT
    assert schema["$id"] == f"urn:trunkline:event:{event_type}"
    assert json.loads(json.dumps(schema)) == schema


@ALL_TYPES
def test_the_example_validates_against_its_schema(event_type: str) -> None:
    for example in event_schema(EVENT_TYPES[EventType(event_type)])["examples"]:
        validator(event_type).validate(example)


@ALL_TYPES
def test_a_missing_required_member_breaks_both_the_schema_and_the_decoder(event_type: str) -> None:
    declaration = EVENT_TYPES[EventType(event_type)]
    for name in event_schema(declaration)["required"]:
        broken = {key: value for key, value in declaration.example.items() if key != name}
        assert not validator(event_type).is_valid(broken)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(broken, declaration.cls)


@pytest.mark.parametrize(
    "data",
    [
        {"provider": "In House"},
        {"provider": "in_house\n"},
        {"input_tokens": -1},
        {"input_tokens": 2**53},
        {"input_tokens": "7"},
        {"run_id": ""},
        {"run_id": "x" * 257},
    ],
)
def test_schema_and_decoder_refuse_the_same(data: dict[str, Any]) -> None:
    declaration = EVENT_TYPES[EventType("agent.tokens_used.v1")]
    broken = {**declaration.example, **data}
    assert not validator(declaration.type).is_valid(broken)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(broken, declaration.cls)


def test_personal_data_is_marked() -> None:
    email = event_schema(EVENT_TYPES[EventType("tenant.created.v1")])["properties"]["admin_email"]
    assert any(alternative.get("x-pii") for alternative in email["anyOf"])


def test_all_schemas_are_sorted_by_type() -> None:
    assert list(event_schemas()) == sorted(EVENT_TYPES)
