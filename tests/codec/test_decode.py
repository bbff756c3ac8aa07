"""Each way in which a record is not an event has its own reason and names the place."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from trunkline.codec import CodecError, Record, decode, encode_checked
from trunkline.codec.errors import (
    InvalidAttribute,
    InvalidData,
    KeyMismatch,
    MissingHeader,
    NotCloudEvents,
    Undecodable,
    UnknownType,
    WrongTopic,
)

TOPIC = "query.execution.events"

Change = Callable[[Record], Record]


@pytest.fixture
def whole(example: Any, as_record: Callable[..., Record]) -> Record:
    """A record that is an event."""
    return as_record(encode_checked(example("query.completed.v1")), TOPIC)


def header(name: str, value: bytes | None) -> Change:
    """Gives the header another value."""
    return lambda record: replace(
        record, headers=tuple((key, value if key == name else old) for key, old in record.headers)
    )


def without(*names: str) -> Change:
    return lambda record: replace(
        record, headers=tuple((key, value) for key, value in record.headers if key not in names)
    )


def added(name: str, value: bytes | None) -> Change:
    return lambda record: replace(record, headers=(*record.headers, (name, value)))


def key(value: bytes | None) -> Change:
    return lambda record: replace(record, key=value)


def value(raw: bytes | None) -> Change:
    return lambda record: replace(record, value=raw)


def topic(name: str) -> Change:
    return lambda record: replace(record, topic=name)


NEVER = without("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_tenantid")
ALL_CE = without(
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_tenantid",
    "ce_subject",
    "ce_correlationid",
    "ce_causationid",
    "ce_traceparent",
    "ce_dataclassification",
)

REFUSED: list[tuple[Change, type[CodecError], str]] = [
    (ALL_CE, NotCloudEvents, "no ce_ headers"),
    (without("ce_id"), MissingHeader, "without ce_id on"),
    (without("ce_id", "ce_time"), MissingHeader, "without ce_id, ce_time on"),
    (NEVER, MissingHeader, "ce_specversion, ce_id, ce_source, ce_type, ce_time, ce_tenantid"),
    (header("ce_specversion", b"0.3"), InvalidAttribute, "specversion is '0.3', not 1.0"),
    (header("ce_specversion", b"\xff"), InvalidAttribute, "not UTF-8"),
    (header("ce_id", b""), InvalidAttribute, "id is empty"),
    (header("ce_id", b"a\nb"), InvalidAttribute, "U+000A"),
    (header("ce_id", b"x" * 3_000), InvalidAttribute, "3000 characters"),
    (header("ce_id", None), InvalidAttribute, "'ce_id' has no value"),
    (header("ce_source", b"two words"), InvalidAttribute, "not a URI reference"),
    (header("ce_time", b"yesterday"), InvalidAttribute, "'yesterday' is not an RFC 3339"),
    (header("ce_time", b"2026-11-23T07:00:00"), InvalidAttribute, "with an offset"),
    (header("ce_time", b'"'), InvalidAttribute, "RFC 3339"),
    (header("ce_tenantid", b"../etc"), InvalidAttribute, "tenant id '../etc'"),
    (added("ce_id", b"other"), InvalidAttribute, "'ce_id' is given twice"),
    (added("CE_tenantid", b"other"), InvalidAttribute, "not in lower case"),
    (added("ce_tenant_id", b"other"), InvalidAttribute, "'tenant_id' is not lower-case"),
    (added("ce_", b"x"), InvalidAttribute, "attribute name ''"),
    (added("ce_datacontenttype", b"text/plain"), InvalidAttribute, "not an extension attribute"),
    (added("ce_data", b"{}"), InvalidAttribute, "not an extension attribute"),
    (added("content-type", b"application/json"), InvalidAttribute, "'content-type' is given twice"),
    (key(b"globex"), KeyMismatch, "the key is 'globex' and the tenant is acme"),
    (key(None), KeyMismatch, "the key is absent"),
    (header("ce_type", b"query.exploded.v1"), UnknownType, "'query.exploded.v1'"),
    (header("ce_type", b"\xff\xfe"), UnknownType, "nobody declared"),
    (topic("ai.agent.events"), WrongTopic, "belongs on query.execution.events, not on ai.agent.events"),
    (header("content-type", b"application/xml"), Undecodable, "'application/xml', not application/json"),
    (value(None), Undecodable, "null"),
    (value(b""), Undecodable, "not JSON"),
    (value(b"{"), Undecodable, "not JSON"),
    (value(b'{"query_id":"\xff"}'), Undecodable, "not JSON"),
    (value(b"{}"), InvalidData, "query_id"),
    (value(b"[]"), InvalidData, "Expected `object`"),
    (value(b'{"query_id":1}'), InvalidData, "$.query_id"),
]


@pytest.mark.parametrize(
    ("change", "kind", "words"), REFUSED, ids=lambda item: item if isinstance(item, str) else ""
)
def test_a_record_is_refused_for_its_own_reason(
    whole: Record, change: Change, kind: type[CodecError], words: str
) -> None:
    with pytest.raises(kind) as refused:
        decode(change(whole))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_extension_attributes_than_the_bound_are_refused(whole: Record) -> None:
    many = replace(whole, headers=(*whole.headers, *((f"ce_ext{number}", b"x") for number in range(32))))
    with pytest.raises(InvalidAttribute, match="at most 32"):
        decode(many)


def test_headers_that_are_not_ours_are_ignored_even_if_repeated_or_empty(whole: Record) -> None:
    noisy = replace(
        whole, headers=(("traceparent", b"x"), ("traceparent", None), *whole.headers, ("\xff", b""))
    )
    assert decode(noisy) == decode(whole)


def test_the_order_of_the_headers_does_not_matter(whole: Record) -> None:
    assert decode(replace(whole, headers=tuple(reversed(whole.headers)))) == decode(whole)


@pytest.mark.parametrize(
    "content_type", [b"application/json; charset=utf-8", b"Application/JSON", b"text/x+json"]
)
def test_any_spelling_of_json_is_read(whole: Record, content_type: bytes) -> None:
    assert decode(header("content-type", content_type)(whole)) == decode(whole)


def test_a_record_without_content_type_is_json(whole: Record) -> None:
    assert decode(without("content-type")(whole)) == decode(whole)


def test_members_that_the_type_does_not_declare_are_ignored(whole: Record) -> None:
    assert whole.value is not None
    newer = replace(whole, value=whole.value[:-1] + b',"added_later":[1,{"x":null}]}')
    assert decode(newer) == decode(whole)


def test_a_time_in_another_offset_is_the_same_moment(whole: Record) -> None:
    moved = header("ce_time", b"2026-11-23T09:00:00.25+02:00")(whole)
    assert decode(moved).time == decode(whole).time


def test_extension_attributes_survive_in_their_own_place(whole: Record) -> None:
    event = decode(added("ce_sequence", b"0001")(whole))
    assert event.extensions == {"dataclassification": "internal", "sequence": "0001"}


def test_a_no_break_space_is_a_legal_attribute_value(whole: Record) -> None:
    assert decode(header("ce_subject", "a\u00a0b".encode())(whole)).subject == "a\u00a0b"
