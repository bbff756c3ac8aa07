"""Raw librdkafka through confluent-kafka: the loops that broker and client are measured with and against.

    python -m trunkline.testing.bench.raw

serves librdkafka's own in-memory mock cluster, the reference broker, until standard input ends. It keeps
about 5 MB a partition, has no durability and answers a waiting fetch only when its time is over.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import confluent_kafka as ck
import msgspec
import uuid_utils

from trunkline.catalogue.events import Event, event_type_of
from trunkline.codec.record import Encoded
from trunkline.errors import TrunklineError

LIBRDKAFKA: Final = ck.libversion()[0]
MOCK_PARTITIONS: Final = 4
"""What librdkafka's mock gives every topic; the embedded broker's topics get the same."""

SETTLE_SECONDS: Final = 15.0
"""For a first answer, or for everything in flight to be acknowledged."""

CONSUME_RECORDS: Final = 500
"""Messages made into Python objects at once: few enough to stay in the processor's cache. 10,000 at a time
read a third slower, whatever the broker."""

CONTRACT_RECORDS: Final = 100
CONTRACT_POLL_SECONDS: Final = 0.1

Config = Mapping[str, str | int | float | bool]

PRODUCER: Final[Config] = {
    "acks": "all",
    "enable.idempotence": True,
    "max.in.flight.requests.per.connection": 1,
    "compression.type": "snappy",
}
CONSUMER: Final[Config] = {
    "group.id": "bench",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
}


class LoadFailed(TrunklineError):  # noqa: N818 - named for what happened
    """A load did not get through, so there is nothing to measure."""


class Throughput(NamedTuple):
    """What went through in how long; `value_bytes` counts values, uncompressed."""

    records: int
    value_bytes: int
    seconds: float

    @property
    def megabytes_per_second(self) -> float:
        return self.value_bytes / self.seconds / 1e6

    @property
    def records_per_second(self) -> float:
        return self.records / self.seconds


class Latencies(NamedTuple):
    """Milliseconds from `produce`, a sample for each event."""

    acknowledged: list[float]
    consumed: list[float]


def wait_topic(bootstrap: str, topic: str) -> None:
    """Wait until the cluster has the topic; the mock cluster creates it when asked."""
    producer = ck.Producer({"bootstrap.servers": bootstrap, "log_level": 2})
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        if producer.list_topics(topic, timeout=SETTLE_SECONDS).topics[topic].partitions:
            return
    raise LoadFailed(f"{bootstrap} does not come up with topic {topic}")


def produce(bootstrap: str, topic: str, *, values: Sequence[bytes], seconds: float) -> Throughput:
    """Produce the values over and over for `seconds`, until all are acknowledged."""
    producer = _warm_producer({**PRODUCER, "bootstrap.servers": bootstrap}, topic)
    sent = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for value in values:
            _queue(producer, topic, value)
        sent += len(values)
    _settle(producer, topic)
    elapsed = time.perf_counter() - started
    return Throughput(sent, sent // len(values) * sum(map(len, values)), elapsed)


def consume(bootstrap: str, topic: str) -> Throughput:
    """Read everything the topic holds; the clock runs from the first batch that arrives."""
    consumer = ck.Consumer({**CONSUMER, "bootstrap.servers": bootstrap, "log_level": 2})
    try:
        left = _assign_all(consumer, topic)
        records = value_bytes = 0
        started = None
        deadline = time.perf_counter() + SETTLE_SECONDS
        while left > 0:
            batch = [item for item in consumer.consume(CONSUME_RECORDS, 0.05) if item.error() is None]
            now = time.perf_counter()
            if now > deadline:
                raise LoadFailed(f"{topic}: {left} records did not arrive within {SETTLE_SECONDS:g} s")
            left -= len(batch)
            if started is None:
                # What came first was fetched before the clock could start.
                started = now if batch else None
                continue
            records += len(batch)
            value_bytes += sum(len(item.value() or b"") for item in batch)
        assert started is not None
        return Throughput(records, value_bytes, max(time.perf_counter() - started, 1e-9))
    finally:
        consumer.close()


def latencies(bootstrap: str, topic: str, *, value: bytes, rate: float, seconds: float) -> Latencies:
    """Produce at a steady rate without linger, and read with a consumer on a thread of its own."""
    producer = _warm_producer({**PRODUCER, "bootstrap.servers": bootstrap, "linger.ms": 0}, topic)
    reader = _Reader(bootstrap, topic)
    acknowledged: dict[bytes, float] = {}
    sent: dict[bytes, float] = {}
    try:
        _queue_until_read(producer, topic, reader)
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            while (wait := start + number / rate - time.perf_counter()) > 0:
                producer.poll(wait)
            key = str(number).encode()

            def acknowledge(error: ck.KafkaError | None, _: ck.Message, key: bytes = key) -> None:
                if error is None:
                    acknowledged[key] = time.perf_counter()

            sent[key] = time.perf_counter()
            producer.produce(topic, value, key, partition=0, on_delivery=acknowledge)
        _settle(producer, topic)
        seen = reader.wait(set(sent))
    finally:
        reader.close()
    return Latencies(
        [(acknowledged[key] - at) * 1e3 for key, at in sent.items()],
        [(seen[key] - at) * 1e3 for key, at in sent.items()],
    )


def produce_encoded(config: Config, topic: str, *, events: Sequence[Encoded], seconds: float) -> Throughput:
    """Produce ready-made records with their headers for `seconds`; what a client library has as its
    ceiling."""
    return _produce_made(config, topic, made=[partial(_same, event) for event in events], seconds=seconds)


def _same(event: Encoded) -> Encoded:
    return event


def produce_by_hand(
    config: Config, topic: str, *, data: Event, tenants: Sequence[str], seconds: float
) -> Throughput:
    """Make each record the way one does without a library, from the event object and a tenant, and produce
    it."""

    def make(tenant: str) -> Encoded:
        key = tenant.encode()
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", event_type_of(data).encode()),
            ("ce_source", b"/bench"),
            ("ce_id", str(uuid_utils.uuid7()).encode()),
            ("ce_time", datetime.now(UTC).isoformat().encode()),
            ("ce_tenantid", key),
            ("content-type", b"application/json"),
        ]
        return Encoded(key, msgspec.json.encode(data), headers)

    return _produce_made(config, topic, made=[partial(make, tenant) for tenant in tenants], seconds=seconds)


def _produce_made(
    config: Config, topic: str, *, made: Sequence[Callable[[], Encoded]], seconds: float
) -> Throughput:
    producer = _warm_producer(config, topic)
    reports: list[ck.KafkaError | None] = []

    def delivered(error: ck.KafkaError | None, _: ck.Message) -> None:
        reports.append(error)

    sent = value_bytes = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for make in made:
            event = make()
            value_bytes += len(event.value)
            while True:
                try:
                    producer.produce(
                        topic,
                        event.value,
                        event.key,
                        headers=event.headers,  # type: ignore[arg-type]  # list is invariant; only read
                        on_delivery=delivered,
                    )
                    break
                except BufferError:
                    producer.poll(0.01)
        producer.poll(0)
        sent += len(made)
    _settle(producer, topic)
    elapsed = time.perf_counter() - started
    if any(reports):
        raise LoadFailed(f"{topic}: an event was not delivered: {next(filter(None, reports))}")
    return Throughput(sent, value_bytes, elapsed)


def produce_once(config: Config, topic: str, *, events: Sequence[Encoded]) -> None:
    """Produce these ready-made records, each once, and nothing else."""
    producer = ck.Producer({**config, "log_level": 2})
    for event in events:
        while True:
            try:
                producer.produce(
                    topic,
                    event.value,
                    event.key,
                    headers=event.headers,  # type: ignore[arg-type]  # list is invariant; only read
                )
                break
            except BufferError:
                producer.poll(0.01)
    _settle(producer, topic)


def consume_whole(
    config: Config,
    topic: str,
    *,
    read: Callable[[ck.Message], object] | None,
    add: Callable[[int], None],
    done: Callable[[], bool],
) -> None:
    """Take key, value and headers of every record, or `read` it, and commit each batch."""
    consumer = ck.Consumer({**config, "log_level": 2})
    consumer.subscribe([topic])
    deadline = time.monotonic() + SETTLE_SECONDS * 2
    try:
        while not done() and time.monotonic() < deadline:
            first = consumer.poll(CONTRACT_POLL_SECONDS)
            if first is None:
                continue
            batch = [first, *consumer.consume(CONTRACT_RECORDS - 1, 0)]
            for message in batch:
                if (error := message.error()) is not None:
                    raise LoadFailed(error.str())
                if read is None:
                    message.headers(), message.key(), message.timestamp(), message.value()
                else:
                    read(message)
            consumer.commit(offsets=_next_offsets(batch), asynchronous=False)
            add(len(batch))
    finally:
        consumer.close()


def consume_group(config: Config, topic: str, *, records: int) -> Throughput:
    """Read `records` as the contract's loop does, but without a store: poll at most 100, commit
    synchronously."""
    consumer = ck.Consumer({**config, "log_level": 2})
    consumer.subscribe([topic])
    seen = value_bytes = 0
    started = None
    deadline = time.perf_counter() + SETTLE_SECONDS * 2
    try:
        while seen < records and time.perf_counter() < deadline:
            first = consumer.poll(CONTRACT_POLL_SECONDS)
            if first is None or first.error() is not None:
                continue
            started = started or time.perf_counter()
            batch = [first, *consumer.consume(CONTRACT_RECORDS - 1, 0)]
            seen += len(batch)
            value_bytes += sum(len(message.value() or b"") for message in batch)
            consumer.commit(offsets=_next_offsets(batch), asynchronous=False)
        if seen < records or started is None:
            raise LoadFailed(f"{topic}: {records - seen} records did not arrive in time")
        return Throughput(seen, value_bytes, time.perf_counter() - started)
    finally:
        consumer.close()


class _Reader:
    """Notes when each key that is new to partition 0 arrives."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = ck.Consumer({**CONSUMER, "bootstrap.servers": bootstrap, "log_level": 2})
        marks = self._consumer.get_watermark_offsets(ck.TopicPartition(topic, 0), timeout=SETTLE_SECONDS)
        if marks is None:
            raise LoadFailed(f"{topic}: the watermarks of partition 0 cannot be had")
        self._consumer.assign([ck.TopicPartition(topic, 0, marks[1])])
        self._seen: dict[bytes, float] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bench-reader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            message = self._consumer.poll(0.1)
            now = time.perf_counter()
            if message is None or message.error() is not None:
                continue
            with self._changed:
                self._seen[message.key() or b""] = now
                self._changed.notify_all()

    def has_any(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._seen), timeout)

    def wait(self, keys: set[bytes]) -> dict[bytes, float]:
        with self._changed:
            if not self._changed.wait_for(lambda: keys <= self._seen.keys(), SETTLE_SECONDS):
                raise LoadFailed(f"{len(keys - self._seen.keys())} records did not arrive")
            return dict(self._seen)

    def close(self) -> None:
        self._stopping = True
        self._thread.join()
        self._consumer.close()


def _warm_producer(config: Config, topic: str) -> ck.Producer:
    """A producer that has its producer id and its connection: librdkafka takes half a second for those."""
    producer = ck.Producer({**config, "log_level": 2})
    producer.produce(topic, b"", b"warm-up", partition=0)
    _settle(producer, topic)
    return producer


def _queue(producer: ck.Producer, topic: str, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value)
        except BufferError:
            producer.poll(0.01)
        else:
            return


def _queue_until_read(producer: ck.Producer, topic: str, reader: _Reader) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not reader.has_any(0.2):
        if time.monotonic() > deadline:
            raise LoadFailed(f"{topic}: nothing can be read")
        producer.produce(topic, b"", b"warm-up", partition=0)
        producer.poll(0)


def _settle(producer: ck.Producer, topic: str) -> None:
    if left := producer.flush(SETTLE_SECONDS):
        raise LoadFailed(f"{topic}: {left} records were not acknowledged within {SETTLE_SECONDS:g} s")


def _assign_all(consumer: ck.Consumer, topic: str) -> int:
    """Assign every partition from its beginning; returns how many records they hold."""
    partitions = consumer.list_topics(topic, timeout=SETTLE_SECONDS).topics[topic].partitions
    places = [ck.TopicPartition(topic, number, ck.OFFSET_BEGINNING) for number in partitions]
    total = 0
    for place in places:
        marks = consumer.get_watermark_offsets(place, timeout=SETTLE_SECONDS)
        if marks is None:
            raise LoadFailed(f"{topic}: the watermarks of partition {place.partition} cannot be had")
        total += marks[1] - marks[0]
    consumer.assign(places)
    return total


def _next_offsets(batch: Sequence[ck.Message]) -> list[ck.TopicPartition]:
    last = {(message.topic() or "", message.partition() or 0): message.offset() or 0 for message in batch}
    return [ck.TopicPartition(topic, partition, offset + 1) for (topic, partition), offset in last.items()]


def serve_mock() -> None:
    """Serve the mock cluster and print its address as a line of JSON, until standard input ends."""
    cluster = ck.Producer({"test.mock.num.brokers": 1, "log_level": 2})
    broker = next(iter(cluster.list_topics(timeout=SETTLE_SECONDS).brokers.values()))
    print(msgspec.json.encode({"host": broker.host, "port": broker.port}).decode(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve_mock()
