"""Micro-costs of the two codecs: events, and the broker's wire protocol."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from trunkline.broker.protocol import codec as wire
from trunkline.broker.protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchPartitionData,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from trunkline.broker.protocol.messages.metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from trunkline.broker.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from trunkline.catalogue.events.query import TOPIC, QueryCompleted
from trunkline.catalogue.names import EventType, TenantId
from trunkline.codec import Envelope, Record, decode, encode
from trunkline.testing.bench.figures import Figure, figure

EVENT_PART: Final = "event codec, 12 fields"
PROTOCOL_PART: Final = "Kafka wire codec"
BARE: Final = "msgspec on the value alone"
REPEATS: Final = 7
REPEAT_SECONDS: Final = 0.02

EVENT: Final = QueryCompleted(
    query_id="q-1",
    user_id="u-17",
    engine="duckdb",
    sql_fingerprint="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    duration_us=18_250,
    cpu_us=31_800,
    rows_returned=1,
    rows_scanned=60_175,
    bytes_scanned=481_400,
    tables=("tpch.lineitem",),
    cache_hit=False,
    policy_revision=4,
)
"""An event with twelve fields of its own."""


def measure() -> list[Figure]:
    """The micro-costs of both codecs, each the best of a few repeats."""
    return [*_event_figures(), *_protocol_figures()]


def microseconds(call: Callable[[], object]) -> float:
    """What one call costs: the best of a few repeats, since everything else only adds."""
    call()
    loops = 1
    while (spent := _timed(call, loops)) < REPEAT_SECONDS:
        loops = max(loops * 2, int(loops * REPEAT_SECONDS / max(spent, 1e-9)))
    return min(_timed(call, loops) for _ in range(REPEATS)) / loops * 1e6


def _timed(call: Callable[[], object], loops: int) -> float:
    started = time.perf_counter()
    for _ in range(loops):
        call()
    return time.perf_counter() - started


def envelope() -> Envelope[Any]:
    """The event with its context."""
    return Envelope(
        id="0190f7f0-1111-7aaa-8bbb-0123456789ab",
        source="/query-engine",
        type=EventType("query.completed.v1"),
        tenantid=TenantId("acme"),
        time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        data=EVENT,
        subject="q-1",
        correlationid="0190f7f0-2222-7aaa-8bbb-0123456789ab",
    )


def _event_figures() -> list[Figure]:
    event = envelope()
    encoded = encode(event)
    record = Record(TOPIC, 0, 1, 1, encoded.key, encoded.value, tuple(encoded.headers))
    json = msgspec.json.Encoder()
    reader = msgspec.json.Decoder(QueryCompleted)
    return [
        figure(
            EVENT_PART,
            "encode",
            samples=[microseconds(lambda: encode(event))],
            unit="us",
            better="less",
            reference=[microseconds(lambda: json.encode(EVENT))],
            peer=BARE,
            target=3,
        ),
        figure(
            EVENT_PART,
            "decode and validate",
            samples=[microseconds(lambda: decode(record))],
            unit="us",
            better="less",
            reference=[microseconds(lambda: reader.decode(encoded.value))],
            peer=BARE,
            target=6,
        ),
    ]


def _protocol_figures() -> list[Figure]:
    metadata, produced, answered, fetched, asked = _messages()
    produce_bytes = wire.encode_bytes(produced, 10)
    fetch_bytes = wire.encode_bytes(asked, 16)
    costs: list[tuple[str, Callable[[], object], float]] = [
        ("metadata response 10x6 encode", lambda: wire.encode(metadata, 12), 100),
        ("produce request 100 KB decode", lambda: wire.decode(ProduceRequest, 10, produce_bytes), 5),
        ("produce response encode", lambda: wire.encode(answered, 10), 2),
        ("fetch request 60 partitions decode", lambda: wire.decode(FetchRequest, 16, fetch_bytes), 40),
        ("fetch response 1 MB encode", lambda: wire.encode(fetched, 16), 5),
    ]
    return [
        figure(PROTOCOL_PART, name, samples=[microseconds(call)], unit="us", better="less", target=target)
        for name, call, target in costs
    ]


def _messages() -> tuple[MetadataResponse, ProduceRequest, ProduceResponse, FetchResponse, FetchRequest]:
    topic_id = bytes(range(16))
    partitions = [
        MetadataResponsePartition(
            error_code=0, partition_index=number, leader_id=1, replica_nodes=[1], isr_nodes=[1]
        )
        for number in range(6)
    ]
    metadata = MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=1, host="127.0.0.1", port=9092)],
        topics=[
            MetadataResponseTopic(error_code=0, name=f"topic.number.{number}", partitions=partitions)
            for number in range(10)
        ],
    )
    data = PartitionProduceData(index=0, records=bytes(100_000))
    produced = ProduceRequest(
        acks=-1, timeout_ms=1000, topic_data=[TopicProduceData(name=TOPIC, partition_data=[data])]
    )
    done = PartitionProduceResponse(index=0, error_code=0, base_offset=12)
    answered = ProduceResponse(responses=[TopicProduceResponse(name=TOPIC, partition_responses=[done])])
    read = FetchPartitionData(partition_index=0, error_code=0, high_watermark=9, records=bytes(1_000_000))
    fetched = FetchResponse(responses=[FetchableTopicResponse(topic_id=topic_id, partitions=[read])])
    wanted = [
        FetchPartition(partition=number, fetch_offset=5, partition_max_bytes=1 << 20) for number in range(6)
    ]
    asked = FetchRequest(
        max_wait_ms=100,
        min_bytes=1,
        topics=[FetchTopic(topic_id=topic_id, partitions=wanted) for _ in range(10)],
    )
    return metadata, produced, answered, fetched, asked
