"""The size limit, against the broker that enforces it."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import EventType, TenantId
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.client.config import (
    EVENT_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    ConnectionOptions,
    ProducerOptions,
    admin_config,
    producer_config,
)
from trunkline.client.kafka import Admin, Producer, Report
from trunkline.client.sizes import BESIDE_VALUE_BYTES_MAX, batch_bytes, fits
from trunkline.codec import Encoded, Envelope, encode
from trunkline.codec.attributes import ATTRIBUTE_CHARS_MAX, EXTENSIONS_MAX

EXAMPLE = EventType("query.completed.v1")
HEADERS = st.lists(st.tuples(st.text(max_size=80), st.binary(max_size=200)), max_size=20)


@given(key=st.binary(max_size=200), value=st.binary(max_size=5_000), headers=HEADERS)
def test_the_size_is_that_of_a_batch_built_by_another_client(
    key: bytes, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
    assert builder.append(0, 1_700_000_000_000, key, value, headers) is not None
    assert batch_bytes(Encoded(key, value, headers)) == len(builder.build())


@given(value=st.binary(max_size=300), limit=st.integers(0, 500))
def test_the_cheap_check_never_disagrees_with_the_exact_size(value: bytes, limit: int) -> None:
    encoded = Encoded(b"tenant", value, [("ce_id", b"1")])
    assert fits(encoded, limit) == (batch_bytes(encoded) <= limit)


def test_key_and_headers_at_their_limits_stay_below_what_the_cheap_check_allows_for() -> None:
    longest = "\N{DEVANAGARI LETTER A}" * ATTRIBUTE_CHARS_MAX  # three bytes each
    event = msgspec.convert(dict(EVENT_TYPES[EXAMPLE].example), EVENT_TYPES[EXAMPLE].cls)
    envelope = Envelope(
        id=longest,
        source="/" * ATTRIBUTE_CHARS_MAX,
        type=EXAMPLE,
        tenantid=TenantId("t" * 64),
        time=datetime.now(UTC),
        data=event,
        subject=longest,
        correlationid=longest,
        causationid=longest,
        traceparent=longest,
        extensions={f"{number:064}": longest for number in range(EXTENSIONS_MAX)},
    )
    encoded = encode(envelope)
    # Four bytes a character is the most that UTF-8 takes.
    assert (batch_bytes(encoded) - len(encoded.value)) * 4 / 3 < BESIDE_VALUE_BYTES_MAX


@pytest.fixture
def send(connection: ConnectionOptions, catalogue: Catalogue) -> Callable[[Encoded], Report[str]]:
    """Sends past our own refusal, so that the broker is the judge; to a topic that no other test reads."""
    settings = topic_settings(catalogue, "development")[0].config
    Admin(admin_config(connection)).create("sizes", partitions=1, replication_factor=1, config=settings)
    config = producer_config(connection, ProducerOptions(message_bytes_max=2 * MESSAGE_BYTES_MAX))

    def deliver(encoded: Encoded) -> Report[str]:
        producer: Producer[str] = Producer(config)
        producer.send("sizes", encoded, "it")
        while not (reports := producer.poll(10)):
            pass
        return reports[0]

    return deliver


def noise_of(size: int) -> Encoded:
    """An event of exactly so many bytes that snappy cannot shrink."""
    headers = [("ce_id", b"1"), ("ce_type", b"query.completed.v1")]
    noise = random.Random(7).randbytes(size)
    return next(
        event
        for cut in range(1_000)
        if batch_bytes(event := Encoded(b"tenant", noise[cut:], headers)) == size
    )


def test_what_just_fits_is_taken_by_the_broker_whatever_its_topics_compression(
    send: Callable[[Encoded], Report[str]],
) -> None:
    largest = noise_of(EVENT_BYTES_MAX)
    assert fits(largest, EVENT_BYTES_MAX)
    assert send(largest).code is None


def test_one_byte_more_than_the_brokers_limit_is_refused_and_not_in_the_log(
    send: Callable[[Encoded], Report[str]],
) -> None:
    larger = noise_of(MESSAGE_BYTES_MAX + 1)
    assert not fits(larger, MESSAGE_BYTES_MAX)
    assert send(larger).code == "MSG_SIZE_TOO_LARGE"
    assert send(larger).lost
