"""Whatever is valid survives a round trip; whatever is not ends in a CodecError and nothing else."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.names import EventType, TenantId
from trunkline.codec import CodecError, Record, decode, encode_checked, new_envelope

REASONS = {
    "not_cloudevents",
    "missing_header",
    "invalid_attribute",
    "key_mismatch",
    "unknown_type",
    "wrong_topic",
    "undecodable",
    "invalid_data",
}

ATTRIBUTE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=20)
OPTIONAL = st.none() | ATTRIBUTE
TENANT = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
SOURCE = st.from_regex(r"//[a-z]{1,8}/[a-z0-9-]{1,8}", fullmatch=True)
EXTENSION_NAME = st.from_regex(r"ext[a-z0-9]{1,12}", fullmatch=True)

COMPLETE = (
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_tenantid",
    "ce_subject",
    "content-type",
)


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw=st.data())
def test_any_valid_event_survives_a_round_trip(
    event_type: str,
    draw: st.DataObject,
    valid_events: Callable[[str], st.SearchStrategy[Event]],
    as_record: Callable[..., Record],
) -> None:
    envelope = new_envelope(
        draw.draw(valid_events(event_type)),
        tenant=TenantId(draw.draw(TENANT)),
        source=draw.draw(SOURCE),
        time=draw.draw(st.datetimes(timezones=st.just(UTC))),
        subject=draw.draw(OPTIONAL),
        correlationid=draw.draw(OPTIONAL),
        causationid=draw.draw(OPTIONAL),
        extensions=draw.draw(st.dictionaries(EXTENSION_NAME, ATTRIBUTE, max_size=3)),
    )
    encoded = encode_checked(envelope)
    assert encoded.key == envelope.tenantid.encode()
    assert decode(as_record(encoded, EVENT_TYPES[EventType(event_type)].topic)) == envelope


@settings(max_examples=300, deadline=None)
@given(
    key=st.none() | st.binary(max_size=8) | st.just(b"acme"),
    value=st.none() | st.binary(max_size=40) | st.sampled_from([b"{}", b"[]", b"null", b"[" * 5_000]),
    headers=st.lists(
        st.tuples(
            st.sampled_from(COMPLETE) | st.text(max_size=12),
            st.none()
            | st.binary(max_size=12)
            | st.sampled_from([b"1.0", b"acme", b"query.completed.v1", b"2026-11-23T07:00:00Z"])
            | st.sampled_from([b"application/json", b"application/cloudevents+json"]),
        ),
        max_size=12,
    ),
)
def test_arbitrary_records_never_raise_anything_but_a_codec_error(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    refuse(Record("query.execution.events", 0, 0, 0, key, value, tuple(headers)))


@settings(max_examples=300, deadline=None)
@given(
    place=st.sampled_from(["key", "value", *COMPLETE]),
    raw=st.binary(max_size=60) | st.sampled_from([b"", b"\xff", b'"', b"9999-12-31T23:59:59.9999999Z", b"0"]),
)
def test_an_event_with_one_damaged_part_never_raises_anything_but_a_codec_error(
    place: str, raw: bytes, example: Any, as_record: Callable[..., Record]
) -> None:
    whole = as_record(encode_checked(example("query.completed.v1")), "query.execution.events")
    refuse(
        Record(
            topic=whole.topic,
            partition=0,
            offset=0,
            timestamp_ms=0,
            key=raw if place == "key" else whole.key,
            value=raw if place == "value" else whole.value,
            headers=tuple((name, raw if name == place else old) for name, old in whole.headers),
        )
    )


@settings(max_examples=200, deadline=None)
@given(
    document=st.binary(max_size=60)
    | st.sampled_from(
        [
            b"{}",
            b'{"specversion":1.0}',
            b'{"id":{}}',
            b'{"id":[[[[]]]]}',
            b'{"data":null}',
            b'{"data_base64":"e30="}',
            b'{"specversion":"1.0","id":"1","source":"/","type":"t","time":1,"tenantid":true}',
        ]
    )
)
def test_arbitrary_structured_documents_never_raise_anything_but_a_codec_error(document: bytes) -> None:
    headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    refuse(Record("query.execution.events", 0, 0, 0, b"acme", document, headers))


def refuse(record: Record) -> None:
    """Decodes, or fails in the one way that a consumer expects."""
    refusal: CodecError | None = None
    try:
        decode(record)
    except CodecError as error:
        refusal = error
    if refusal is not None:
        assert refusal.reason in REASONS
        assert str(refusal)
        assert "\n" not in str(refusal)
