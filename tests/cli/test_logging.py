"""What `trunkline service --json` writes to standard error."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka
import msgspec

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.names import EventType, TenantId
from trunkline.codec import encode, new_envelope
from trunkline.testing.processes import CommandProcess

TOPIC = "query.execution.events"
SECRET = "hunter2"


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
