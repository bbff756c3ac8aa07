"""The embedded broker beside librdkafka's mock cluster, with the same raw librdkafka client and
configuration."""

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.testing.bench import raw
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.bench.servers import MockProcess, ready_ms, sync_ms, usage
from trunkline.testing.processes import BrokerProcess

PART: Final = "embedded broker"
CPU: Final = "processor time per 100 MB in"
MOCK: Final = "librdkafka mock"
VALUE_BYTES: Final = 1000
VALUES: Final = 500
RATE_PER_SECOND: Final = 100.0
SYNC: Final = "disk alone, append and sync 1 KB"
SYNCS: Final = 300
LATENCY_SECONDS_MIN: Final = 3.0
"""A 99th percentile of fewer than 300 samples would be the worst one."""

STARTS: Final = 3

NOTES: Final = (
    "broker: one librdkafka client, idempotent, acks=all, snappy, max.in.flight=1, values of 1 KB that halve "
    "under snappy; latencies at 100 events a second without linger",
    "broker: ours acknowledges after fdatasync; the mock cluster has no disk, keeps 5 MB a partition and "
    "answers a waiting fetch only when its time is over, so its consume figures stand for little",
    "broker: what is consumed has to become Python objects, one by one: that loop, the same for both, is the "
    "bound, not the broker",
)
LOADS: Final = (
    ("produce", "MB/s", 200.0),
    (CPU, "s", None),
    ("consume", "MB/s", 500.0),
    (f"{SYNC} p50", "ms", None),
    (f"{SYNC} p99", "ms", None),
    ("acknowledged p50", "ms", None),
    ("acknowledged p99", "ms", None),
    ("produce to consume p50", "ms", None),
    ("produce to consume p99", "ms", 2.0),
)
"""Name, unit and target of what each round measures."""

Say = Callable[[str], None]


def measure(directory: Path, *, seconds: float, rounds: int, say: Say) -> list[Figure]:
    """Start-up, memory, throughput and latency; loads last `seconds` and alternate between the brokers."""
    starts = [ready_ms(directory / f"start-{number}") for number in range(STARTS)]
    figures = [
        figure(
            PART,
            "ready",
            samples=[ours for ours, _ in starts],
            unit="ms",
            better="less",
            reference=[mock for _, mock in starts],
            peer=MOCK,
            target=300,
        )
    ]
    with BrokerProcess(directory / "broker") as broker, MockProcess() as mock:
        idle = usage(broker.pid)
        values = make_values(random.Random(1))  # noqa: S311 - it only has to look random to a compressor
        ours: dict[str, list[float]] = defaultdict(list)
        theirs: dict[str, list[float]] = defaultdict(list)
        for number in range(rounds):
            say(f"broker, round {number + 1} of {rounds}")
            topic = f"bench.round.{number}"
            create_topic(broker.address, topic)
            _load(broker.address, topic, values=values, seconds=seconds, into=ours, pid=broker.pid)
            _load(mock.address, topic, values=values, seconds=seconds, into=theirs, pid=mock.pid)
            syncs = sync_ms(directory, times=SYNCS)
            ours[f"{SYNC} p50"].append(percentile(syncs, 50))
            ours[f"{SYNC} p99"].append(percentile(syncs, 99))
        after = usage(broker.pid)
    if idle is not None and after is not None:
        figures += [
            figure(PART, "memory idle", samples=[idle.rss_mb], unit="MB", better="less", target=40),
            figure(PART, "memory after load", samples=[after.rss_mb], unit="MB", better="less"),
        ]
    return figures + [
        figure(
            PART,
            name,
            samples=ours[name],
            unit=unit,
            better="more" if unit == "MB/s" else "less",
            reference=theirs.get(name, ()),
            peer=MOCK,
            target=target,
        )
        for name, unit, target in LOADS
        if ours[name]
    ]


def _load(
    address: str, topic: str, *, values: list[bytes], seconds: float, into: dict[str, list[float]], pid: int
) -> None:
    raw.wait_topic(address, topic)
    before = usage(pid)
    produced = raw.produce(address, topic, values=values, seconds=seconds)
    after = usage(pid)
    consumed = raw.consume(address, topic)
    latency = raw.latencies(
        address, topic, value=values[0], rate=RATE_PER_SECOND, seconds=max(seconds, LATENCY_SECONDS_MIN)
    )
    into["produce"].append(produced.megabytes_per_second)
    if before is not None and after is not None:
        spent = after.cpu_seconds - before.cpu_seconds
        into[CPU].append(spent / produced.value_bytes * 1e8)
    into["consume"].append(consumed.megabytes_per_second)
    for what, samples in (
        ("acknowledged", latency.acknowledged),
        ("produce to consume", latency.consumed),
    ):
        into[f"{what} p50"].append(percentile(samples, 50))
        into[f"{what} p99"].append(percentile(samples, 99))


def create_topic(address: str, topic: str) -> None:
    """Create a topic with as many partitions as the mock cluster gives."""
    admin = Admin(admin_config(ConnectionOptions(bootstrap_servers=address)))
    admin.create(topic, partitions=raw.MOCK_PARTITIONS, replication_factor=1, config={})


def make_values(generator: random.Random) -> list[bytes]:
    """Values of 1 KB that look like JSON and compress to about half."""
    random_digits = VALUE_BYTES // 2
    return [
        b'{"payload":"%s"}'
        % generator.randbytes(random_digits // 2).hex().encode().ljust(VALUE_BYTES - 14, b"x")
        for _ in range(VALUES)
    ]
