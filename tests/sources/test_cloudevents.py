"""JSON lines of CloudEvents: what a consumer would take is taken, the rest is named."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.codec import Envelope
from trunkline.errors import InvalidInput
from trunkline.sources import cloudevents
from trunkline.sources.bad import BadInput
from trunkline.sources.cloudevents import read_events

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/elsewhere",
    "type": "auth.login_succeeded.v1",
    "time": "2026-01-02T03:04:05Z",
    "tenantid": "acme",
    "datacontenttype": "application/json",
    "data": {"user_id": "u-17", "method": "sso"},
}


def write(path: Path, *lines: Any) -> Path:
    encoded = [line if isinstance(line, bytes) else msgspec.json.encode(line) for line in lines]
    path.write_bytes(b"\n".join(encoded))
    return path


def test_events_come_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", EVENT, b"", EVENT | {"id": "e-2", "correlationid": "c"}, b"  ")
    one, other = read_events(path)
    assert isinstance(one, Envelope)
    assert isinstance(other, Envelope)
    assert (one.id, one.tenantid, one.source) == ("e-1", "acme", "/elsewhere")
    assert (other.id, other.correlationid) == ("e-2", "c")


@pytest.mark.parametrize("type_name", sorted(EVENT_TYPES))
def test_every_type_of_the_contract_can_be_imported(tmp_path: Path, type_name: str) -> None:
    declaration = next(item for item in EVENT_TYPES.values() if item.type == type_name)
    (item,) = read_events(
        write(tmp_path / "e.jsonl", EVENT | {"type": type_name, "data": dict(declaration.example)})
    )
    assert isinstance(item, Envelope)
    assert isinstance(item.data, declaration.cls)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"junk", "not a CloudEvent"),
        (b"\xff", "not a CloudEvent"),
        (b"[]", "not a CloudEvent"),
        ({**EVENT, "tenantid": None}, "not a CloudEvent"),
        ({name: value for name, value in EVENT.items() if name != "tenantid"}, "tenantid"),
        (EVENT | {"type": "no.such.v1"}, "nobody declared the event type 'no.such.v1'"),
        (EVENT | {"tenantid": "no tenant"}, "tenant id"),
        (EVENT | {"specversion": "0.3"}, "specversion"),
        (EVENT | {"time": "yesterday"}, "time"),
        (EVENT | {"data": {"user_id": "u-17", "method": "magic"}}, "method"),
        ({name: value for name, value in EVENT.items() if name != "id"}, "ce_id"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path, line: Any, reason: str) -> None:
    path = write(tmp_path / "e.jsonl", EVENT, line, EVENT | {"id": "e-2"})
    first, bad, last = read_events(path)
    assert isinstance(first, Envelope)
    assert isinstance(last, Envelope)
    assert isinstance(bad, BadInput)
    assert str(bad).startswith(f"{path}:2: ")
    assert reason in bad.reason


def test_a_line_without_end_is_skipped_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudevents, "LINE_BYTES_MAX", 1_000)
    path = write(tmp_path / "e.jsonl", b"x" * 5_500, EVENT)
    bad, good = read_events(path)
    assert isinstance(bad, BadInput)
    assert (bad.number, bad.reason) == (1, "the line is longer than 1000 bytes")
    assert isinstance(good, Envelope)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read it"):
        list(read_events(tmp_path / "absent.jsonl"))
