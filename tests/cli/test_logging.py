"""What `trunkline service` writes to standard error."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka
import msgspec

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.names import EventType, TenantId
from trunkline.cli._logging import ENDED, HELD_MAX, Lines
from trunkline.codec import encode, new_envelope
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import CommandProcess

TOPIC = "query.execution.events"
SECRET = "hunter2"
NOWHERE = "127.0.0.1:1"


def test_an_event_that_fails_is_told_with_its_place_and_without_its_content(
    fresh_cluster: str, tmp_path: Path
) -> None:
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    example = {**declaration.example, "engine": SECRET}
    sound = msgspec.convert(dict(declaration.example), declaration.cls)
    envelope = new_envelope(sound, tenant=TenantId("acme"), source="/test", time=datetime.now(UTC))
    encoded = encode(envelope)
    producer = confluent_kafka.Producer({"bootstrap.servers": fresh_cluster})
    headers: list[tuple[str, str | bytes | None]] = [*encoded.headers]
    producer.produce(TOPIC, json.dumps(example), encoded.key, partition=2, headers=headers)
    assert producer.flush(10) == 0

    arguments = ["service", "audit-service", "-b", fresh_cluster, "--data-dir", str(tmp_path), "--json"]
    with CommandProcess(arguments) as service:
        line = service.stderr.wait_line(lambda text: '"event failed"' in text, timeout_s=30)
        assert service.terminate() == 0
    assert line is not None
    told: dict[str, Any] = json.loads(line)
    assert {name: told[name] for name in ("tenant", "event_id", "topic", "partition", "offset")} == {
        "tenant": "acme",
        "event_id": envelope.id,
        "topic": TOPIC,
        "partition": 2,
        "offset": 0,
    }
    assert told["reason"] == "invalid_data"
    assert "$.engine" in told["error"]
    assert SECRET not in service.stderr.text
    assert SECRET not in service.stdout.text


def test_with_json_every_line_is_json_to_the_last_word_which_has_the_exit_code(tmp_path: Path) -> None:
    arguments = ["service", "audit-service", "-b", NOWHERE, "--data-dir", str(tmp_path), "--json"]
    with CommandProcess([*arguments, "--start-seconds", "1"]) as service:
        assert service.wait(timeout_s=30) == 4
        (last,) = map(json.loads, service.stderr.text.splitlines())
    assert (last["event"], last["level"], last["exit_code"]) == (ENDED, "error", 4)
    assert last["error"].startswith(f"no Kafka broker answers at {NOWHERE}")


def test_what_the_kafka_library_says_is_part_of_the_log(tmp_path: Path) -> None:
    """A service that waits for ever says at once what it waits for."""
    arguments = ["service", "audit-service", "-b", NOWHERE, "--data-dir", str(tmp_path), "--json"]
    with CommandProcess([*arguments, "--start-seconds", "0"]) as service:
        found = service.stderr.wait_line(lambda text: "trunkline.kafka" in text, timeout_s=30)
        assert service.terminate(timeout_s=30) == 0
        lines = [json.loads(line) for line in service.stderr.text.splitlines()]
    assert found is not None
    told = json.loads(found)
    assert (told["logger"], told["level"]) == ("trunkline.kafka", "warning")
    assert lines


def test_a_start_that_succeeds_brings_what_was_held_back(fresh_cluster: str, tmp_path: Path) -> None:
    arguments = ["service", "audit-service", "-b", fresh_cluster, "--data-dir", str(tmp_path), "--json"]
    with CommandProcess(arguments) as service:
        assert service.stderr.wait_line(lambda text: "partitions assigned" in text, timeout_s=30)
        assert service.terminate() == 0


def test_lines_are_held_until_they_are_released_and_only_the_last_of_very_many() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.write("a\n")
    lines.hold(3_600)
    for number in range(HELD_MAX + 1):
        lines.write(f"{number}\n")
    assert stream.getvalue() == "a\n"
    lines.release()
    lines.write("z\n")
    assert stream.getvalue().splitlines() == ["a", *map(str, range(1, HELD_MAX + 1)), "z"]
    lines.release()
    assert stream.getvalue().endswith("\nz\n")


def test_lines_that_are_dropped_never_come() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.hold(3_600)
    lines.write("a\n")
    lines.drop()
    lines.write("b\n")
    lines.release()
    assert stream.getvalue() == "b\n"


def test_lines_come_by_themselves_when_nobody_decides() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.hold(0.01)
    lines.write("a\n")
    eventually(lambda: stream.getvalue() == "a\n")
