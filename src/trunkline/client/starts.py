"""Where to start reading: at the store's position, whatever Kafka has committed."""

from collections.abc import Iterable
from dataclasses import dataclass

from trunkline.client.kafka import Admin, Partition
from trunkline.client.store import Store, position
from trunkline.client.store.position import Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a partition is read from. `expected` is what the store holds, None when it holds nothing.

    `expired` counts records that retention deleted before they were read. `rewound_from` is the position the
    store held when it lay behind the end of the log: the cluster lost records that had been processed.
    Reading starts over then, and dedupe tells what is new.
    """

    lane: Lane
    expected: int | None
    offset: int
    expired: int = 0
    rewound_from: int | None = None


def find_starts(
    store: Store, admin: Admin, *, group: str, partitions: Iterable[Partition]
) -> dict[Partition, Start]:
    """Ask cluster and store where each partition starts; a topic that is gone is left out.

    Raises `ClusterUnavailable`, `KafkaFailed`, `StoreUnavailable`, and `Fenced` when another member is at it.
    """
    keys = list(partitions)
    cluster_id = admin.cluster_id()
    topics = admin.describe({topic for topic, _ in keys})
    lanes = {
        (topic, partition): Lane(
            group=group,
            cluster_id=cluster_id,
            topic=topic,
            topic_id=topics[topic].topic_id,
            partition=partition,
        )
        for topic, partition in keys
        if topic in topics
    }
    bounds = admin.offsets(lanes)
    with store.read() as tx:
        stored = position.read(tx, lanes.values())
    starts = {key: decide(lane, stored[lane], *bounds[key]) for key, lane in lanes.items()}
    rewound = [start for start in starts.values() if start.rewound_from is not None]
    if rewound:
        with store.write() as tx:
            for start in rewound:
                position.advance(tx, start.lane, expected=start.rewound_from, target=start.offset)
    return starts


def decide(lane: Lane, stored: int | None, low: int, high: int) -> Start:
    """The start in a log that holds the offsets from `low` up to, not including, `high`."""
    if stored is None:
        return Start(lane=lane, expected=None, offset=low)
    if stored < low:
        return Start(lane=lane, expected=stored, offset=low, expired=low - stored)
    if stored > high:
        return Start(lane=lane, expected=low, offset=low, rewound_from=stored)
    return Start(lane=lane, expected=stored, offset=stored)
