"""What a failure is: why it is there, what has become of it, and how it stands in its row."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from trunkline.client.store.position import Lane
from trunkline.codec.record import Record

HANDLER: Final = "handler"
PARKED: Final = "parked"
ID_CONFLICT: Final = "id_conflict"

REASONS: Final[Mapping[str, str]] = {
    "not_cloudevents": "the record is not a CloudEvent",
    "missing_header": "a required attribute is missing",
    "invalid_attribute": "an attribute is malformed",
    "key_mismatch": "the key is not the tenant id",
    "unknown_type": "the event type is not declared",
    "wrong_topic": "the event type belongs to another topic",
    "undecodable": "the value is not JSON",
    "invalid_data": "the data breaks its type's constraints",
    ID_CONFLICT: "another event with this identity but other content was processed before",
    HANDLER: "the service could not handle the event",
    PARKED: "an earlier event of the tenant failed; this one waits behind it to keep the order",
}
"""Why a record can end up here: the codec's reasons and the runtime's own."""


class Status(StrEnum):
    """What has become of a failure."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One skipped record. Times are Unix milliseconds; `note` says how or why it was settled."""

    id: int
    lane: Lane
    record: Record
    reason: str
    error: str
    attempts: int
    first_seen_ms: int
    last_seen_ms: int
    status: Status
    note: str | None


def failure_of(row: Any) -> Failure:
    """A row of the table as what it stands for."""
    headers = msgspec.json.decode(row["headers"], type=tuple[tuple[str, bytes | None], ...])
    return Failure(
        id=row["id"],
        lane=Lane(
            group=row["consumer_group"],
            cluster_id=row["cluster_id"],
            topic=row["topic"],
            topic_id=row["topic_id"],
            partition=row["partition"],
        ),
        record=Record(
            topic=row["topic"],
            partition=row["partition"],
            offset=row["offset"],
            timestamp_ms=row["timestamp_ms"],
            key=row["key"],
            value=row["value"],
            headers=headers,
        ),
        reason=row["reason"],
        error=row["error"],
        attempts=row["attempts"],
        first_seen_ms=row["first_seen_ms"],
        last_seen_ms=row["last_seen_ms"],
        status=Status(row["status"]),
        note=row["note"],
    )
