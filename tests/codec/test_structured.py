"""Structured mode: the JSON document as an event."""

import json
from typing import Any

import pytest

from trunkline.codec import Record, decode
from trunkline.codec.errors import CodecError, InvalidAttribute, InvalidData, MissingHeader, Undecodable

WHOLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "//iam/1",
    "type": "access.role_assigned.v1",
    "time": "2026-11-23T07:00:00Z",
    "tenantid": "acme",
    "data": {"actor_id": "u-1", "user_id": "u-2", "role": "analyst"},
}


def record(document: Any, content_type: bytes = b"application/cloudevents+json") -> Record:
    value = document if isinstance(document, bytes | None) else json.dumps(document).encode()
    return Record("security.audit.events", 0, 0, 0, b"acme", value, (("content-type", content_type),))


def test_a_document_is_an_event() -> None:
    event = decode(record(WHOLE | {"subject": "u-2", "sequence": 7, "urgent": True, "note": None}))
    assert (event.id, event.subject, event.tenantid) == ("1", "u-2", "acme")
    assert event.extensions == {"sequence": "7", "urgent": "true"}


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json; charset=UTF-8",
        b"Application/CloudEvents+JSON",
        b"application/cloudevents+json ;",
    ],
)
def test_the_content_type_is_compared_as_a_media_type(content_type: bytes) -> None:
    assert decode(record(WHOLE, content_type)).id == "1"


@pytest.mark.parametrize(
    ("document", "kind", "words"),
    [
        (None, Undecodable, "null"),
        (b"{", Undecodable, "not a JSON document"),
        (b"[]", Undecodable, "not a JSON document"),
        (b"[" * 10_000, Undecodable, "not a JSON document"),
        (WHOLE | {"data": None}, InvalidData, "Expected `object`"),
        (WHOLE | {"data": {"actor_id": 1}}, InvalidData, "$.actor_id"),
        ({key: value for key, value in WHOLE.items() if key != "data"}, Undecodable, "null"),
        (WHOLE | {"data_base64": "e30="}, Undecodable, "data_base64"),
        (WHOLE | {"datacontenttype": "text/plain"}, Undecodable, "text/plain"),
        (WHOLE | {"id": {"nested": 1}}, InvalidAttribute, "'id' is not a text"),
        (WHOLE | {"time": 5}, InvalidAttribute, "RFC 3339"),
        (WHOLE | {"id": None}, MissingHeader, "ce_id"),
        (WHOLE | {f"ext{number}": "x" for number in range(80)}, InvalidAttribute, "at most 64"),
    ],
)
def test_a_document_that_is_not_an_event_is_refused(
    document: Any, kind: type[CodecError], words: str
) -> None:
    with pytest.raises(kind) as refused:
        decode(record(document))
    assert words in str(refused.value)


def test_a_format_other_than_json_is_refused() -> None:
    with pytest.raises(Undecodable, match="cloudevents-batch"):
        decode(record(WHOLE, b"application/cloudevents-batch+json"))
