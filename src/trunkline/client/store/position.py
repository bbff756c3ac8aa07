"""How far a group has come in a partition. The store's word counts; what Kafka has committed is a hint."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from trunkline.client.store.tables import CONSUMER_POSITION


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One partition of one incarnation of a topic, as one group reads it.

    `topic_id` changes when a topic is deleted and created again; it is empty where the cluster has none.
    """

    group: str
    cluster_id: str
    topic: str
    topic_id: str
    partition: int


class Fenced(Exception):  # noqa: N818 - control flow: another member has moved the position
    """The position is no longer where this member left it; its transaction must roll back."""


_T: Final = CONSUMER_POSITION.c
_SAME_LANE: Final = (
    (_T.consumer_group == bindparam("lane_group"))
    & (_T.cluster_id == bindparam("lane_cluster_id"))
    & (_T.topic == bindparam("lane_topic"))
    & (_T.topic_id == bindparam("lane_topic_id"))
    & (_T.partition == bindparam("lane_partition"))
)
_READ: Final = select(_T.next_offset).where(_SAME_LANE)
_MOVE: Final = (
    update(CONSUMER_POSITION)
    .where(_SAME_LANE, _T.next_offset == bindparam("expected"))
    .values(next_offset=bindparam("target"))
)
_START: Final = insert(CONSUMER_POSITION)


def read(tx: Connection, lanes: Iterable[Lane]) -> dict[Lane, int | None]:
    """The next offset to process of each lane, None where nothing has been processed yet."""
    return {lane: tx.execute(_READ, _parameters(lane)).scalar() for lane in lanes}


def positions(tx: Connection) -> dict[tuple[str, int], int]:
    """The next offset of every partition that has been read, by topic and partition.

    Of several incarnations of a topic or several clusters it is the one that was read furthest.
    """
    found: dict[tuple[str, int], int] = {}
    for topic, partition, offset in tx.execute(select(_T.topic, _T.partition, _T.next_offset)):
        found[topic, partition] = max(offset, found.get((topic, partition), 0))
    return found


def advance(tx: Connection, lane: Lane, *, expected: int | None, target: int) -> None:
    """Move the position from `expected` to `target`. Raises `Fenced` if it is elsewhere.

    Called first in a transaction: on PostgreSQL it also locks the row, so a zombie waits here, and loses.
    """
    if expected is None:
        _begin(tx, lane, target)
    elif tx.execute(_MOVE, {**_parameters(lane), "expected": expected, "target": target}).rowcount == 0:
        raise Fenced


def _begin(tx: Connection, lane: Lane, target: int) -> None:
    row = {
        "consumer_group": lane.group,
        "cluster_id": lane.cluster_id,
        "topic": lane.topic,
        "topic_id": lane.topic_id,
        "partition": lane.partition,
        "next_offset": target,
    }
    try:
        tx.execute(_START, row)
    except IntegrityError as error:
        raise Fenced from error


def _parameters(lane: Lane) -> dict[str, str | int]:
    return {
        "lane_group": lane.group,
        "lane_cluster_id": lane.cluster_id,
        "lane_topic": lane.topic,
        "lane_topic_id": lane.topic_id,
        "lane_partition": lane.partition,
    }
