"""Records and partitions: the library's as ours, ours as the library's."""

from collections.abc import Iterable, Mapping
from operator import methodcaller
from typing import Final, TypeAlias

import confluent_kafka as ck

from trunkline.codec.record import Record

Partition: TypeAlias = tuple[str, int]
"""Topic and partition number."""

UNREADABLE_HEADERS: Final[tuple[tuple[str, bytes | None], ...]] = (("trunkline-unreadable-headers", None),)
"""Stands for headers that the library cannot give; the record keeps everything else."""

# Not `message.headers()`: for unreadable ones it returns with an exception pending, which a call that the
# interpreter has specialised does not notice; the exception then surfaces anywhere. This call always checks.
_read_headers: Final = methodcaller("headers")


def partition_of(key: bytes, partitions: int) -> int:
    """Where the contract's partitioner puts a key among this many partitions."""
    return ck.murmur2(key, partitions)


def record_of(message: ck.Message) -> Record:
    """A message without an error as a record.

    A header whose name is not UTF-8 makes all headers of its record unreadable. Anybody who may write to a
    topic can send one; such a record is passed on with `UNREADABLE_HEADERS` and ends in the failure ledger.
    """
    try:
        headers = tuple(_read_headers(message) or ())
    except (SystemError, UnicodeDecodeError):
        headers = UNREADABLE_HEADERS
    partition, offset = message.partition(), message.offset()
    assert partition is not None, "a record that was read has a place"
    assert offset is not None, "a record that was read has a place"
    return Record(
        message.topic() or "",
        partition,
        offset,
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers,
    )


def keys_of(partitions: Iterable[ck.TopicPartition]) -> list[Partition]:
    """Which partitions these are, whatever else they say."""
    return [(item.topic, item.partition) for item in partitions]


def offsets_of(offsets: Mapping[Partition, int]) -> list[ck.TopicPartition]:
    """Partitions with an offset each, as the library takes them."""
    return [ck.TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
