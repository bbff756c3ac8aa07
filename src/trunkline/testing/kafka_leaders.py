"""Metadata, leader moves and log levels, over the wire: what the client library has no call for."""

import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from trunkline.broker.protocol.messages.configs import (
    IncrementalAlterableConfig,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource,
)
from trunkline.broker.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from trunkline.testing.wire import WireClient

METADATA_VERSION: Final = 9
ALTER_CONFIGS_VERSION: Final = 1
BROKER_LOGGER: Final = 8
SET: Final = 0
ALTER_PARTITION_REASSIGNMENTS: Final = 45
ELECT_LEADERS: Final = 43
ELECT_VERSION: Final = 2
ANSWER_SECONDS_MAX: Final = 10.0
TIMEOUT_MS: Final = 10_000
PREFERRED: Final = 0


class Seat(NamedTuple):
    """Where a partition is, as broker ids; the leader is -1 while there is none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class View(NamedTuple):
    """The cluster as one broker sees it."""

    brokers: frozenset[int]
    seats: dict[tuple[str, int], Seat]


def view(address: str, topics: Sequence[str] = ()) -> View:
    """Ask one broker. Raises `OSError` when it does not answer."""
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in topics], allow_auto_topic_creation=False
    )
    with WireClient(address, timeout_s=ANSWER_SECONDS_MAX) as wire:
        answer = wire.ask(request, METADATA_VERSION)
    assert isinstance(answer, MetadataResponse)
    return View(
        frozenset(broker.node_id for broker in answer.brokers),
        {
            (topic.name or "", partition.partition_index): Seat(
                partition.leader_id, tuple(partition.replica_nodes), tuple(partition.isr_nodes)
            )
            for topic in answer.topics
            for partition in topic.partitions
        },
    )


def prefer(address: str, topic: str, partition: int, replicas: Sequence[int]) -> None:
    """Give a partition this order of replicas (KIP-455); with the same replicas nothing is copied.

    Success shows in the metadata. Raises `OSError` when the broker does not answer.
    """
    body = struct.pack(">i", TIMEOUT_MS) + _array(
        _string(topic)
        + _array(struct.pack(">i", partition) + _array(*(struct.pack(">i", n) for n in replicas)) + _NO_TAGS)
        + _NO_TAGS
    )
    _ask(address, ALTER_PARTITION_REASSIGNMENTS, 0, body + _NO_TAGS)


def elect_preferred(address: str, topic: str, partition: int) -> None:
    """Make the first in-sync replica in order the leader (KIP-460). Raises `OSError`."""
    topics = _array(_string(topic) + _array(struct.pack(">i", partition)) + _NO_TAGS)
    body = struct.pack(">b", PREFERRED) + topics + struct.pack(">i", TIMEOUT_MS)
    _ask(address, ELECT_LEADERS, ELECT_VERSION, body + _NO_TAGS)


def set_log_level(address: str, broker: int, *, logger: str, level: str) -> None:
    """Have a broker log more or less from now on (KIP-412). Raises `OSError` when it does not answer."""
    change = IncrementalAlterableConfig(name=logger, config_operation=SET, value=level)
    resource = IncrementalAlterConfigsResource(
        resource_type=BROKER_LOGGER, resource_name=str(broker), configs=[change]
    )
    with WireClient(address, timeout_s=ANSWER_SECONDS_MAX) as wire:
        wire.ask(
            IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), ALTER_CONFIGS_VERSION
        )


_NO_TAGS: Final = b"\0"


def _array(*elements: bytes) -> bytes:
    """In compact encoding (KIP-482); what is asked for here has fewer than 127 elements."""
    return bytes([len(elements) + 1]) + b"".join(elements)


def _string(text: str) -> bytes:
    encoded = text.encode()
    size = len(encoded) + 1
    return (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + encoded


def _ask(address: str, key: int, version: int, body: bytes) -> None:
    """Send one request and wait for its answer, which is not looked at."""
    host, _, port = address.rpartition(":")
    header = struct.pack(">hhihs", key, version, 1, 1, b"t") + _NO_TAGS
    frame = header + body
    with socket.create_connection((host, int(port)), ANSWER_SECONDS_MAX) as peer:
        peer.sendall(struct.pack(">i", len(frame)) + frame)
        if not peer.recv(1):
            raise ConnectionError(f"broker {address} closed the connection on request {key}")
