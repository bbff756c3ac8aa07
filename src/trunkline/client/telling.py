"""What a log line says about records and partitions: where they are and whose, never what is in them."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.client.handler import Refusal
from trunkline.client.kafka import Partition
from trunkline.client.store import failures
from trunkline.codec.record import Record

# msgspec quotes the value that an enumeration does not have.
_VALUE: Final = re.compile(r"(?<=value) '.*'(?= - at|$)", re.DOTALL)


def about(record: Record) -> dict[str, object]:
    """The fields of every line about an event; tenant and id are None where the headers do not tell them."""
    return {
        "tenant": _header(record, "ce_tenantid"),
        "event_id": _header(record, "ce_id"),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
    }


def loggable(refusal: Refusal) -> str:
    """The detail without what may come from the event; of a handler's exception only the kind is left.

    The failure ledger has all of it.
    """
    if refusal.reason == failures.HANDLER:
        return refusal.detail.partition(":")[0]
    return _VALUE.sub("", refusal.detail)


def shown(partitions: Iterable[Partition]) -> list[str]:
    """Partitions as a log line has them."""
    return [f"{topic}/{partition}" for topic, partition in partitions]


def shown_offsets(offsets: Mapping[Partition, int]) -> list[str]:
    """Positions as a log line has them."""
    return [f"{topic}/{partition}@{offset}" for (topic, partition), offset in offsets.items()]


def _header(record: Record, name: str) -> str | None:
    return next(
        (value.decode(errors="replace") for key, value in record.headers if key == name and value), None
    )
