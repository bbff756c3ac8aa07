"""The bytes of one event of every type, held for ever: what is in a log must stay readable.

A new type needs new bytes: `python tests/codec/test_golden.py` writes the missing ones and touches no other.
"""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.names import EventType
from trunkline.codec import Encoded, Envelope, Record, decode, encode_checked

GOLDEN = Path(__file__).parent / "golden" / "events.json"


def load() -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(GOLDEN.read_bytes()) if GOLDEN.exists() else {}
    return golden


def as_text(encoded: Encoded) -> dict[str, Any]:
    return {
        "key": encoded.key.decode(),
        "headers": [[name, value.decode()] for name, value in encoded.headers],
        "value": encoded.value.decode(),
    }


def test_every_declared_type_has_golden_bytes_and_nothing_else_has() -> None:
    assert sorted(load()) == sorted(EVENT_TYPES)


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_an_event_encodes_to_its_golden_bytes(event_type: str, example: Any) -> None:
    assert as_text(encode_checked(example(event_type))) == load()[event_type]


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_golden_bytes_decode_to_the_event(event_type: str, example: Any) -> None:
    golden = load()[event_type]
    record = Record(
        topic=EVENT_TYPES[EventType(event_type)].topic,
        partition=0,
        offset=0,
        timestamp_ms=0,
        key=golden["key"].encode(),
        value=golden["value"].encode(),
        headers=tuple((name, value.encode()) for name, value in golden["headers"]),
    )
    expected: Envelope[Event] = example(event_type)
    assert decode(record) == expected


def write_missing() -> None:
    example_of = importlib.import_module("conftest").example_of
    golden = load()
    for event_type in EVENT_TYPES:
        if event_type not in golden:
            golden[event_type] = as_text(encode_checked(example_of(event_type)))
    GOLDEN.write_text(
        json.dumps(golden, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    write_missing()
