"""Run events are read as the spec has them, and refused with a reason."""

from datetime import UTC

import msgspec
import pytest

from trunkline.codec.openlineage import run_event as module
from trunkline.codec.openlineage.run_event import EventType, InvalidRunEvent, decode_run_event
from trunkline.testing.lineage import dataset, run_event


def test_a_run_event_is_read_with_its_datasets() -> None:
    found = decode_run_event(
        msgspec.json.encode(
            run_event("COMPLETE", inputs=[dataset("a.main.x")], outputs=[dataset("b.main.y")])
        )
    )
    assert found.event_type is EventType.COMPLETE
    assert [one.urn for one in found.datasets] == ["urn:table:main.x", "urn:table:main.y"]


def test_a_time_without_offset_is_utc() -> None:
    found = decode_run_event(msgspec.json.encode(run_event("START") | {"eventTime": "2026-01-02T03:04:05"}))
    assert found.event_time.tzinfo is UTC


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not an OpenLineage run event"),
        (b"[]", "Expected `object`"),
        (b"{}", "eventTime"),
        (msgspec.json.encode(run_event("PAUSED")), "Invalid enum value 'PAUSED'"),
        (msgspec.json.encode(run_event("START", run="")), "length >= 1"),
        (b"\xff", "not an OpenLineage run event"),
        (b'{"eventTime": ' + b"[" * 5_000, "not an OpenLineage run event"),
    ],
)
def test_what_is_no_run_event_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidRunEvent, match=reason) as raised:
        decode_run_event(content)
    assert "\n" not in str(raised.value)


def test_a_run_event_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_EVENT_BYTES_MAX", 10)
    with pytest.raises(InvalidRunEvent, match="larger than 10 bytes"):
        decode_run_event(b" " * 11)
