"""The publisher's side: nothing that a consumer would refuse is sent."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.names import EventType, TenantId
from trunkline.codec import Envelope, encode, encode_checked, new_envelope, validate
from trunkline.codec.errors import InvalidAttribute, InvalidData

USED = AgentTokensUsed(
    run_id="r", agent_id="a", provider="in_house", model="m", input_tokens=1, output_tokens=2
)


def envelope(event: Event = USED, **changes: Any) -> Envelope[Event]:
    attributes: Mapping[str, Any] = {
        "tenant": TenantId("acme"),
        "source": "//ai-service/1",
        "time": datetime(2026, 11, 23, 7, tzinfo=UTC),
        **changes,
    }
    return new_envelope(event, **attributes)


def test_headers_come_in_a_fixed_order_and_the_key_is_the_tenant() -> None:
    encoded = encode(envelope(id="1", subject="s", extensions={"extb": "2", "exta": "1"}))
    assert encoded.key == b"acme"
    assert encoded.headers == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"agent.tokens_used.v1"),
        ("ce_source", b"//ai-service/1"),
        ("ce_id", b"1"),
        ("ce_time", b"2026-11-23T07:00:00Z"),
        ("ce_tenantid", b"acme"),
        ("content-type", b"application/json"),
        ("ce_subject", b"s"),
        ("ce_exta", b"1"),
        ("ce_extb", b"2"),
    ]


def test_members_at_their_default_are_not_written() -> None:
    assert b"cached_input_tokens" not in encode(envelope()).value
    assert msgspec.json.decode(encode(envelope()).value)["input_tokens"] == 1


def test_two_encodings_share_no_mutable_state() -> None:
    first, second = encode(envelope()), encode(envelope())
    first.headers.clear()
    assert second.headers


def test_a_time_in_another_zone_is_written_in_utc() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    encoded = encode(envelope(time=datetime(2026, 11, 23, 12, 30, tzinfo=there)))
    assert dict(encoded.headers)["ce_time"] == b"2026-11-23T07:00:00Z"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tenant": TenantId("")}, "tenant id"),
        ({"tenant": TenantId("a/b")}, "tenant id 'a/b'"),
        ({"source": ""}, "source is empty"),
        ({"source": "two words"}, "URI reference"),
        ({"id": ""}, "id is empty"),
        ({"id": "a\r\nb"}, "U+000D"),
        ({"subject": "\x00"}, "U+0000"),
        ({"subject": "\ufffe"}, "U+FFFE"),
        ({"correlationid": ""}, "correlationid is empty"),
        ({"causationid": "x" * 2_049}, "2049 characters"),
        ({"traceparent": "\x7f"}, "U+007F"),
        ({"time": datetime(2026, 11, 23, 7)}, "no offset"),  # noqa: DTZ001 - what is refused
        ({"time": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))}, "no UTC equivalent"),
        ({"extensions": {"tenant_id": "x"}}, "lower-case"),
        ({"extensions": {"id": "x"}}, "not an extension"),
        ({"extensions": {"exta": ""}}, "exta is empty"),
        ({"extensions": {f"ext{number}": "x" for number in range(33)}}, "at most 32"),
    ],
)
def test_a_context_that_consumers_would_refuse_is_not_encoded(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidAttribute) as refused:
        encode(envelope(**changes))
    assert words in str(refused.value)


def test_a_type_that_is_not_its_datas_is_not_encoded() -> None:
    mislabelled = msgspec.structs.replace(envelope(), type=EventType("query.completed.v1"))
    with pytest.raises(InvalidAttribute, match=r"its data of type agent\.tokens_used\.v1"):
        encode(mislabelled)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"input_tokens": -1}, "$.input_tokens"),
        ({"input_tokens": 2**53}, "$.input_tokens"),
        ({"input_tokens": "1"}, "$.input_tokens"),
        ({"input_tokens": None}, "$.input_tokens"),
        ({"input_tokens": 2**70}, "$.input_tokens"),
        ({"run_id": ""}, "$.run_id"),
        ({"provider": "In-House"}, "$.provider"),
        ({"provider": "in_house\n"}, "$.provider"),
        ({"model": "\ud800"}, "JSON"),
        ({"model": object()}, "JSON"),
    ],
)
def test_data_that_consumers_would_refuse_is_not_sent(changes: dict[str, Any], path: str) -> None:
    event = msgspec.structs.replace(USED, **changes)
    with pytest.raises(InvalidData) as refused:
        encode_checked(envelope(event))
    assert path in str(refused.value)
    with pytest.raises(InvalidData):
        validate(event)


def test_endless_nesting_is_refused_and_not_a_crash() -> None:
    nested: list[Any] = []
    nested.append(nested)
    event = ConfigValueSet(key="a.b", level="global", value=nested, version=1, actor_id="u")
    with pytest.raises(InvalidData):
        validate(event)


def test_a_valid_event_validates() -> None:
    validate(USED)
