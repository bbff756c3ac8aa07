"""Writes a few records to an internal topic and sees that they are in the log."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from trunkline.client import diagnosis
from trunkline.client.config import Config, ConnectionOptions, ProducerOptions, producer_config
from trunkline.client.errors import ClusterUnavailable, KafkaFailed
from trunkline.client.kafka import Producer
from trunkline.client.kafka.producer import Report
from trunkline.codec.record import Encoded

WRITE_SECONDS: Final = 6.0
_SOON: Final[Config] = {
    "linger.ms": 0,
    "request.timeout.ms": 5_000,
    "socket.timeout.ms": 5_000,
    "delivery.timeout.ms": 5_000,
}
"""The caller repeats itself, so a cluster that is away need not be waited for; a service that stops waits."""

POLL_SECONDS: Final = 0.1
RECORDS_MAX: Final = 500
"""In one call: what fits into any producer's queue."""


def write_records(
    connection: ConnectionOptions,
    topic: str,
    records: Sequence[Encoded],
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Return when all of them are in the log, in order. Repeating a call that failed is safe for readers of
    these topics, who take a repetition for what it is.

    Raises `ClusterUnavailable` when it is not known whether they are, and `KafkaFailed`.
    """
    assert len(records) <= RECORDS_MAX
    producer: Producer[None] = Producer({**producer_config(connection, ProducerOptions()), **_SOON})
    deadline = monotonic() + WRITE_SECONDS
    reports: list[Report[None]] = []
    try:
        for record in records:
            producer.send(topic, record, None)
        while len(reports) < len(records) and monotonic() < deadline:
            reports += producer.poll(POLL_SECONDS)
    finally:
        producer.drain()
    for report in reports:
        if report.code is not None:
            advice = diagnosis.grant(report.code, f"topic {topic}", "Write")
            raise KafkaFailed(report.code, f"{topic}: {report.message}" + (f"; {advice}" if advice else ""))
    if len(reports) < len(records):
        raise ClusterUnavailable(f"{topic}: a record was not acknowledged within {WRITE_SECONDS:g} s")
