"""The contract on record: canonical, complete, and nothing but what binds."""

from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.snapshot import (
    EventPart,
    load_snapshot,
    packaged_snapshot_path,
    parse_snapshot,
    render_snapshot,
    take_snapshot,
)
from trunkline.errors import InvalidInput


def with_schema(schema: bytes) -> bytes:
    return (
        b'{"format":1,"services":[],"environments":{},"topics":{},"events":{"query.x.v1":'
        b'{"topic":"query.execution.events","schema":' + schema + b"}}}"
    )


def test_the_committed_snapshot_is_the_contract_byte_for_byte() -> None:
    """If this fails, `trunkline contract check` says what changed and whom it hurts."""
    assert packaged_snapshot_path().read_bytes() == render_snapshot(
        take_snapshot(load_catalogue(), after=load_snapshot())
    )


def test_a_snapshot_survives_being_written_and_read() -> None:
    snapshot = take_snapshot(load_catalogue())
    assert parse_snapshot(render_snapshot(snapshot), file="x") == snapshot
    assert render_snapshot(parse_snapshot(render_snapshot(snapshot), file="x")) == render_snapshot(snapshot)


def test_a_snapshot_holds_every_event_and_no_prose() -> None:
    snapshot = load_snapshot()
    assert set(snapshot.events) == set(EVENT_TYPES)
    schema = snapshot.events["query.completed.v1"].schema
    assert set(schema) == {"type", "properties", "required"}


def test_a_field_named_like_an_annotation_stays() -> None:
    properties = load_snapshot().events["policy.published.v1"].schema["properties"]
    assert "title" in properties


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"{", "not a contract snapshot"),
        (b"[]", "not a contract snapshot"),
        (b'{"format":1}', "not a contract snapshot"),
        (b'{"format":2,"services":[],"environments":{},"topics":{},"events":{}}', "snapshot format 2"),
        (with_schema(b'{"properties":[]}'), "no readable schema for query.x.v1"),
        (with_schema(b'{"properties":{"a":1}}'), "no readable schema for query.x.v1"),
        (with_schema(b'{"anyOf":{}}'), "no readable schema for query.x.v1"),
        (with_schema(b'{"required":1}'), "no readable schema for query.x.v1"),
    ],
)
def test_a_file_that_is_no_snapshot_is_refused_by_name(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "contract.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=words) as refused:
        load_snapshot(path)
    assert "contract.json" in str(refused.value)


def test_a_member_that_is_gone_stays_on_record_as_retired() -> None:
    now = take_snapshot(load_catalogue())
    schema = now.events["query.failed.v1"].schema
    richer = {**schema, "properties": {**schema["properties"], "gone": {"type": "string"}}}
    part = EventPart(topic="query.execution.events", schema=richer, retired={"older": {}})
    before = msgspec.structs.replace(now, events={**now.events, "query.failed.v1": part})
    after = take_snapshot(load_catalogue(), after=before)
    assert after.events["query.failed.v1"].retired == {"gone": {"type": "string"}, "older": {}}
    again = take_snapshot(load_catalogue(), after=after)
    assert again == after
    assert parse_snapshot(render_snapshot(after), file="x") == after
