"""Which tenant sits on which partition, how unevenly that loads them, and what more partitions would change.

Load is what the log holds now. A partition's records are counted exactly, by its offsets; whose they are is
sampled from its newest records, and scaled up. Bytes are those of keys and values, before compression.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.growth import plan
from trunkline.client.kafka import Admin, partition_of
from trunkline.client.reader import TopicReader
from trunkline.codec.record import Record

SAMPLE_RECORDS: Final = 100_000
"""Over all partitions of a topic: a second of reading, and a percent of a tenant's load is seen a thousand
times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLoad:
    """One tenant's part of a topic. `tenant` is None for records without a readable key.

    `partition` is where its events go now, and `moves_to` where they would go after the growth asked about,
    None if they stay.
    """

    tenant: str | None
    partition: int
    records: int
    bytes: int
    share: float
    moves_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLoad:
    """One partition. `records` is exact; `sampled` is how many of them were read."""

    partition: int
    records: int
    sampled: int
    bytes: int
    tenants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a topic's load is spread. Skew is the most loaded partition's records over the mean: 1 is even."""

    topic: str
    partitions: tuple[PartitionLoad, ...]
    tenants: tuple[TenantLoad, ...]
    skew: float
    complete: bool
    growth: int | None = None
    skew_after: float | None = None
    moving: int = 0


def spread(
    connection: ConnectionOptions,
    topic: str,
    *,
    growth: int | None = None,
    sample: int | None = SAMPLE_RECORDS,
) -> Spread:
    """Read at most `sample` of a topic's newest records, or all of them, and say how its tenants are spread.

    Raises `InvalidInput` for a topic that is not there, `InvalidGrowth` for a number that it cannot grow to,
    `ClusterUnavailable` and `KafkaFailed`.
    """
    with TopicReader(connection, topic) as reader:
        if growth is not None:
            plan.check_numbers(topic, before=len(reader.bounds), after=growth)
        each = None if sample is None else max(1, sample // max(1, len(reader.bounds)))
        counts = {number: high - low for number, (low, high) in reader.bounds.items()}
        return summed(topic, counts, reader.existing(last=each), growth=growth)


def placed(connection: ConnectionOptions, catalogue: Catalogue, tenant: str) -> dict[str, int]:
    """The partition of a tenant in every topic of the contract that is there."""
    there = Admin(admin_config(connection)).describe(catalogue.topics)
    key = tenant.encode()
    return {name: partition_of(key, there[name].partitions) for name in catalogue.topics if name in there}


def summed(
    topic: str, counts: Mapping[int, int], sample: Iterable[Record], *, growth: int | None = None
) -> Spread:
    """The spread of a topic whose partitions hold so many records, by a sample of them. Pure."""
    seen: Counter[tuple[bytes | None, int]] = Counter()
    size: Counter[tuple[bytes | None, int]] = Counter()
    for record in sample:
        place = (record.key, record.partition)
        seen[place] += 1
        size[place] += len(record.key or b"") + len(record.value or b"")
    sampled: Counter[int] = Counter()
    for (_, number), count in seen.items():
        sampled[number] += count
    scale = {number: counts[number] / sampled[number] for number in sampled}
    records: defaultdict[bytes | None, float] = defaultdict(float)
    volume: defaultdict[bytes | None, float] = defaultdict(float)
    for key, number in seen:
        records[key] += seen[key, number] * scale[number]
        volume[key] += size[key, number] * scale[number]
    tenants = _tenants(records, volume, partitions=len(counts), growth=growth)
    return Spread(
        topic=topic,
        partitions=tuple(
            PartitionLoad(
                partition=number,
                records=counts[number],
                sampled=sampled[number],
                bytes=round(sum(size[place] for place in size if place[1] == number) * scale.get(number, 0)),
                tenants=sum(1 for place in seen if place[1] == number),
            )
            for number in sorted(counts)
        ),
        tenants=tenants,
        skew=_skew(list(counts.values())),
        complete=sampled.total() == sum(counts.values()),
        growth=growth,
        skew_after=None if growth is None else _skew(_loads(tenants, growth)),
        moving=sum(tenant.moves_to is not None for tenant in tenants),
    )


def _tenants(
    records: Mapping[bytes | None, float],
    volume: Mapping[bytes | None, float],
    *,
    partitions: int,
    growth: int | None,
) -> tuple[TenantLoad, ...]:
    total = sum(records.values())
    found = []
    for key, count in records.items():
        now = partition_of(key or b"", partitions)
        then = now if growth is None else partition_of(key or b"", growth)
        found.append(
            TenantLoad(
                tenant=None if key is None else key.decode(errors="replace"),
                partition=now,
                records=round(count),
                bytes=round(volume[key]),
                share=round(count / total, 4),
                moves_to=None if then == now else then,
            )
        )
    return tuple(sorted(found, key=lambda load: (-load.records, load.tenant or "")))


def _loads(tenants: Iterable[TenantLoad], partitions: int) -> list[int]:
    loads = [0] * partitions
    for load in tenants:
        loads[load.partition if load.moves_to is None else load.moves_to] += load.records
    return loads


def _skew(loads: Sequence[int]) -> float:
    total = sum(loads)
    return round(max(loads) * len(loads) / total, 2) if total else 1.0
