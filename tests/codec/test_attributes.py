"""The rules for single attributes, at their edges."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.codec.attributes import (
    ATTRIBUTE_CHARS_MAX,
    check_source,
    check_tenant,
    check_text,
    parse_time,
    time_bytes,
)
from trunkline.codec.errors import InvalidAttribute

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS)  # noqa: DTZ001 - bounds are naive


@given(moment=MOMENTS)
def test_a_time_survives_as_the_same_moment_in_utc(moment: datetime) -> None:
    written = time_bytes(moment)
    assert written.endswith(b"Z")
    assert parse_time(written) == moment


@given(raw=st.binary(max_size=40))
def test_no_bytes_make_a_time_that_is_neither_read_nor_refused(raw: bytes) -> None:
    refused = False
    try:
        moment = parse_time(raw)
    except InvalidAttribute:
        refused = True
    assert refused or moment.tzinfo is not None


def test_the_longest_text_is_allowed_and_one_more_is_not() -> None:
    longest = "x" * ATTRIBUTE_CHARS_MAX
    assert check_text("subject", longest) is longest
    with pytest.raises(InvalidAttribute, match="2049 characters"):
        check_text("subject", longest + "x")


@pytest.mark.parametrize(
    "character", ["\x00", "\x1f", "\x7f", "\x9f", "\ufdd0", "\uffff", "\U0010fffe", "\ud800"]
)
def test_characters_that_cloudevents_forbids_are_refused(character: str) -> None:
    with pytest.raises(InvalidAttribute, match="forbidden character"):
        check_text("subject", f"a{character}b")


@pytest.mark.parametrize("text", ["a b", "\u00a0", "\u2028", "\ue000", "\U0001f600", "é"])
def test_unusual_characters_that_cloudevents_allows_are_kept(text: str) -> None:
    assert check_text("subject", text) == text


@pytest.mark.parametrize("tenant", ["a", "A-1._x", "0", "x" * 64])
def test_a_tenant_id_is_its_own_key(tenant: str) -> None:
    assert check_tenant(tenant) == tenant.encode()


@pytest.mark.parametrize("tenant", ["", ".a", "-a", "a b", "a\n", "ä", "x" * 65, "a/b"])
def test_what_is_unsafe_in_a_path_or_a_header_is_no_tenant_id(tenant: str) -> None:
    with pytest.raises(InvalidAttribute, match="tenant id"):
        check_tenant(tenant)


@pytest.mark.parametrize("source", ["/", "//a/b", "urn:x:y", "https://x.example/?q=%20#f", "a"])
def test_a_source_is_any_uri_reference(source: str) -> None:
    assert check_source(source) == source.encode()


@pytest.mark.parametrize("source", ["a b", "a\n", "%zz", "ä", '"', "<x>"])
def test_what_is_no_uri_reference_is_no_source(source: str) -> None:
    with pytest.raises(InvalidAttribute, match="source"):
        check_source(source)


def test_an_event_of_another_zone_is_shown_in_utc() -> None:
    assert time_bytes(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == b"2025-12-31T23:00:00Z"
    assert time_bytes(datetime(2026, 1, 1, tzinfo=UTC)) == b"2026-01-01T00:00:00Z"
