"""Where to start reading: at the store's position, whatever Kafka has committed.

A partition that a growth has added starts only when the group has read the older partitions up to where the
growth found them (`trunkline.client.growth`), so that no tenant's later events overtake its earlier ones.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from trunkline.catalogue.internal import GROWTH_JOURNAL
from trunkline.client import diagnosis
from trunkline.client.errors import KafkaFailed
from trunkline.client.growth import plan
from trunkline.client.growth.journal import KnownGrowths
from trunkline.client.growth.plan import Growth
from trunkline.client.kafka import Admin, Partition, TopicState
from trunkline.client.log import Log
from trunkline.client.store import Store, position
from trunkline.client.store.position import Lane

Positions: TypeAlias = Callable[[Collection[Partition]], Mapping[Partition, int | None]]
"""Asks how far the group is in these partitions; None where it has not begun."""

_log = Log("trunkline.consumer")


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


class Gate:
    """Holds back what a growth has added until the group may read it. For one group and one thread.

    The journal is read again only when it has become longer.
    """

    def __init__(self) -> None:
        self._known = KnownGrowths()
        self._told: frozenset[Partition] = frozenset()

    def held(
        self,
        admin: Admin,
        topics: Mapping[str, TopicState],
        *,
        partitions: Collection[Partition],
        positions: Positions,
    ) -> frozenset[Partition]:
        """Those of these partitions that must not be read yet.

        Raises `ClusterUnavailable`, `KafkaFailed`, `JournalUnreadable` and what `positions` raises.
        """
        waiting = _waiting(self._growths(admin), topics, partitions)
        if not waiting:
            return frozenset()
        older = {
            (growth.topic, number)
            for growths in waiting.values()
            for growth in growths
            for number in growth.barriers
        }
        bounds, reached = admin.offsets(older), positions(older)
        held = frozenset(
            key
            for key, growths in waiting.items()
            if not all(_may_read(growth, reached, bounds) for growth in growths)
        )
        for topic, number in sorted(held - self._told):
            _log.info(
                "partition waits until the older ones are read up to the growth",
                topic=topic,
                partition=number,
            )
        self._told = held
        return held

    def _growths(self, admin: Admin) -> tuple[Growth, ...]:
        try:
            return self._known.refreshed(admin)
        except KafkaFailed as error:
            # Describe would do for as long as the journal is empty; then nobody would know what is missing.
            if advice := diagnosis.grant(error.code, f"topic {GROWTH_JOURNAL.name}", "Read"):
                raise KafkaFailed(
                    error.code, f"this consumer may not read how topics have grown; {advice}"
                ) from error
            raise


def find_starts(
    store: Store, admin: Admin, *, group: str, partitions: Iterable[Partition], gate: Gate | None = None
) -> dict[Partition, Start]:
    """Ask cluster and store where each partition starts; left out is what is gone, and what has to wait.

    `gate` remembers the growth journal from one call to the next. Raises `ClusterUnavailable`, `KafkaFailed`,
    `StoreUnavailable`, `JournalUnreadable`, and `Fenced` when another member is at it.
    """
    keys = list(partitions)
    cluster_id = admin.cluster_id()
    topics = admin.describe({topic for topic, _ in keys})

    def lane(key: Partition) -> Lane:
        topic, number = key
        return Lane(
            group=group,
            cluster_id=cluster_id,
            topic=topic,
            topic_id=topics[topic].topic_id,
            partition=number,
        )

    def positions(wanted: Collection[Partition]) -> dict[Partition, int | None]:
        lanes = {key: lane(key) for key in wanted}
        with store.read() as tx:
            stored = position.read(tx, lanes.values())
        return {key: stored[own] for key, own in lanes.items()}

    there = can_be_read(keys, topics)
    held = (gate or Gate()).held(admin, topics, partitions=there, positions=positions)
    ready = [key for key in there if key not in held]
    bounds, stored = admin.offsets(ready), positions(ready)
    starts = {key: decide(lane(key), stored[key], *bounds[key]) for key in ready}
    rewound = [start for start in starts.values() if start.rewound_from is not None]
    if rewound:
        with store.write() as tx:
            for start in rewound:
                position.advance(tx, start.lane, expected=start.rewound_from, target=start.offset)
    return starts


def can_be_read(partitions: Iterable[Partition], topics: Mapping[str, TopicState]) -> list[Partition]:
    """Those of these partitions that are there and have a leader; asking about another one fails for all."""
    return [
        (topic, number)
        for topic, number in partitions
        if topic in topics and number not in topics[topic].leaderless
    ]


def decide(lane: Lane, stored: int | None, low: int, high: int) -> Start:
    """The start in a log that holds the offsets from `low` up to, not including, `high`."""
    if stored is None:
        return Start(lane=lane, expected=None, offset=low)
    if stored < low:
        return Start(lane=lane, expected=stored, offset=low, expired=low - stored)
    if stored > high:
        return Start(lane=lane, expected=low, offset=low, rewound_from=stored)
    return Start(lane=lane, expected=stored, offset=stored)


def _waiting(
    growths: Collection[Growth], topics: Mapping[str, TopicState], partitions: Iterable[Partition]
) -> dict[Partition, list[Growth]]:
    """The growths behind each partition that was added by one."""
    waiting: dict[Partition, list[Growth]] = {}
    for topic, number in partitions:
        own = plan.of_topic(growths, topic, topics[topic].topic_id)
        if behind := [growth for growth in own if growth.before <= number]:
            waiting[topic, number] = behind
    return waiting


def _may_read(
    growth: Growth,
    positions: Mapping[Partition, int | None],
    bounds: Mapping[Partition, tuple[int, int]],
) -> bool:
    numbers = growth.barriers
    return plan.is_reached(
        growth,
        {number: positions[growth.topic, number] for number in numbers},
        {number: bounds[growth.topic, number] for number in numbers},
    )
