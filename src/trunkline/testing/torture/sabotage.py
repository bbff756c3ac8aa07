"""Takes one safeguard away from this process, so that a test can show what the safeguard is for.

The product has no such switch: what is replaced here are functions of its modules, in an actor's process.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, delete, insert

from trunkline.client.handler import Received, Refusal
from trunkline.client.lanes import Lanes
from trunkline.client.store import dedupe, failures, position
from trunkline.client.store.position import Lane
from trunkline.client.store.tables import CONSUMER_POSITION
from trunkline.codec import Record


class Safeguard(StrEnum):
    """What can be taken away."""

    LANE = "lane"
    DEDUPE = "dedupe"
    POSITION = "position"
    LEDGER = "ledger"
    FENCE = "fence"
    """Of growth. It is in another process, which `run` then tells to do without."""


def take_away(safeguard: Safeguard) -> None:
    """From now on, in this process, do without it."""
    _TAKERS[safeguard]()


def _without_lane() -> None:
    """A failed event holds nobody."""

    def hold(self: Lanes[Any, Any], lane: Any, event: Any, now: float) -> None:
        pass

    Lanes._hold = hold  # type: ignore[method-assign]  # that is the point


def _without_dedupe() -> None:
    def sift(tx: Connection, group: str, batch: Sequence[Received]) -> dedupe.Sifted:  # noqa: ARG001
        digests = {dedupe.identity_of(received): dedupe.content_hash(received) for received in batch}
        return dedupe.Sifted(list(batch), [], [], digests)

    def remember(
        tx: Connection, group: str, events: Sequence[Received], digests: Mapping[dedupe.Identity, bytes]
    ) -> None:
        pass

    def claim(tx: Connection, group: str, batch: Sequence[Received]) -> bool:  # noqa: ARG001
        return True

    dedupe.sift = sift
    dedupe.claim = claim
    dedupe.remember = remember


def _without_position() -> None:
    def advance(tx: Connection, lane: Lane, *, expected: int | None, target: int) -> None:  # noqa: ARG001
        table = CONSUMER_POSITION.c
        where = {
            table.consumer_group: lane.group,
            table.cluster_id: lane.cluster_id,
            table.topic: lane.topic,
            table.topic_id: lane.topic_id,
            table.partition: lane.partition,
        }
        tx.execute(delete(CONSUMER_POSITION).where(*(column == value for column, value in where.items())))
        named = {column.name: value for column, value in where.items()}
        tx.execute(insert(CONSUMER_POSITION).values(**named, next_offset=target))

    position.advance = advance


def _without_ledger() -> None:
    def add(tx: Connection, lane: Lane, record: Record, refusal: Refusal, *, now_ms: int) -> int:  # noqa: ARG001
        return 0

    failures.add = add


_TAKERS: Final[Mapping[Safeguard, Callable[[], None]]] = {
    Safeguard.LANE: _without_lane,
    Safeguard.DEDUPE: _without_dedupe,
    Safeguard.POSITION: _without_position,
    Safeguard.LEDGER: _without_ledger,
    Safeguard.FENCE: lambda: None,
}
