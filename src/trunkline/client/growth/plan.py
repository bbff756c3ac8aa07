"""What the growth journal says: entries, which of them count, and who has to wait for what. Sans-IO.

Everybody reads the same journal and must come to the same conclusion, without a lock. An entry counts if it
is the next step of its growth, by number and by stage; of several with the same number, the first in the log.
So an entry is a compare-and-set: a run that was overtaken finds that its own did not count, and stops.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

from trunkline.client.errors import InvalidGrowth

PARTITIONS_MAX: Final = 10_000
"""More than any topic here will have; it bounds what one entry may hold."""

Bounds = tuple[int, int]
"""First offset of a partition and the one after its last."""


class Stage(StrEnum):
    """How far a growth has come; see the package's theory of operation."""

    FENCED = "fenced"
    DRAINED = "drained"
    GROWN = "grown"
    RELEASED = "released"
    ABANDONED = "abandoned"


_NEXT: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.FENCED: frozenset({Stage.FENCED, Stage.DRAINED, Stage.ABANDONED}),
    Stage.DRAINED: frozenset({Stage.DRAINED, Stage.GROWN, Stage.ABANDONED}),
    Stage.GROWN: frozenset({Stage.GROWN, Stage.RELEASED}),
    Stage.RELEASED: frozenset(),
    Stage.ABANDONED: frozenset(),
}
"""Which stages may follow. The same one again is another run that takes over."""

Number = Annotated[int, msgspec.Meta(ge=1, le=PARTITIONS_MAX)]
Offset = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Growth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A growth as one entry of the journal tells it. The process `run` wrote it, at `at_ms` Unix time.

    `barriers` are the ends of the old partitions, empty until the topic is drained, final once it is grown.
    `max_message_bytes` is the topic's own setting to put back, None if it had none. `topic_id` is empty
    where the cluster has none.
    """

    version: Literal[1] = 1
    growth: Text
    step: Offset
    run: Text
    topic: Text
    topic_id: Annotated[str, msgspec.Meta(max_length=64)]
    before: Number = msgspec.field(name="from")
    after: Number = msgspec.field(name="to")
    stage: Stage
    barriers: Annotated[dict[int, Offset], msgspec.Meta(max_length=PARTITIONS_MAX)]
    max_message_bytes: Annotated[str, msgspec.Meta(max_length=20)] | None
    at_ms: Offset

    @property
    def unfinished(self) -> bool:
        """Whether the topic may be closed on behalf of this growth."""
        return bool(_NEXT[self.stage])


def begin(
    *,
    growth: str,
    run: str,
    topic: str,
    topic_id: str,
    before: int,
    after: int,
    max_message_bytes: str | None,
    at_ms: int,
) -> Growth:
    """The first entry of a growth. Raises `InvalidGrowth` for a number that would move tenants wrongly."""
    check_numbers(topic, before=before, after=after)
    return Growth(
        growth=growth,
        step=0,
        run=run,
        topic=topic,
        topic_id=topic_id,
        before=before,
        after=after,
        stage=Stage.FENCED,
        barriers={},
        max_message_bytes=max_message_bytes,
        at_ms=at_ms,
    )


def follow(
    last: Growth, stage: Stage, *, run: str, at_ms: int, barriers: Mapping[int, int] | None = None
) -> Growth:
    """The entry after `last`; barriers stay unless given."""
    assert stage in _NEXT[last.stage], f"{stage} cannot follow {last.stage}"
    return msgspec.structs.replace(
        last,
        step=last.step + 1,
        run=run,
        stage=stage,
        at_ms=at_ms,
        barriers=last.barriers if barriers is None else dict(barriers),
    )


def check_numbers(topic: str, *, before: int, after: int) -> None:
    """Raises `InvalidGrowth` unless `after` is a multiple of `before`, and more."""
    if after <= before:
        raise InvalidGrowth(f"{topic} has {before} partitions already; give --partitions more than that")
    if after > PARTITIONS_MAX:
        raise InvalidGrowth(f"{after} partitions are more than the {PARTITIONS_MAX} that a topic may grow to")
    if after % before:
        nearest = [str(before * factor) for factor in (after // before, after // before + 1) if factor > 1]
        raise InvalidGrowth(
            f"{topic} has {before} partitions and can grow to a multiple of that only, so that tenants move "
            f"to new partitions and to no other; give --partitions {' or '.join(nearest)}"
        )


def latest(entries: Iterable[Growth]) -> tuple[Growth, ...]:
    """The state of each growth, in the order in which they began; entries that do not count are left out."""
    growths: dict[str, Growth] = {}
    for entry in entries:
        last = growths.get(entry.growth)
        if last is None:
            begins = entry.step == 0 and entry.stage is Stage.FENCED
            if begins and unfinished(growths.values(), entry.topic, entry.topic_id) is None:
                growths[entry.growth] = entry
        elif entry.step == last.step + 1 and entry.stage in _NEXT[last.stage]:
            growths[entry.growth] = entry
    return tuple(growths.values())


def unfinished(growths: Iterable[Growth], topic: str, topic_id: str) -> Growth | None:
    """The growth of this incarnation of a topic that is under way."""
    return next((growth for growth in of_topic(growths, topic, topic_id) if growth.unfinished), None)


def of_topic(growths: Iterable[Growth], topic: str, topic_id: str) -> list[Growth]:
    """The growths of this incarnation of a topic that have changed it or may."""
    return [
        growth
        for growth in growths
        if (growth.topic, growth.topic_id) == (topic, topic_id) and growth.stage is not Stage.ABANDONED
    ]


def lags(
    committed: Mapping[str, Mapping[int, int]], barriers: Mapping[int, int], firsts: Mapping[int, int]
) -> dict[str, int]:
    """How many records each group has still to commit before the barriers, 0 for those that are there.

    `firsts` are the first offsets still in the log: nobody can be asked to read what is gone.
    """
    return {
        group: sum(
            max(0, barrier - max(offsets.get(number, 0), firsts.get(number, 0)))
            for number, barrier in barriers.items()
        )
        for group, offsets in committed.items()
    }


def is_reached(growth: Growth, positions: Mapping[int, int | None], bounds: Mapping[int, Bounds]) -> bool:
    """Whether a group at these positions may read what the growth has added.

    A log that ends before its barrier has lost records; reading all that is there is enough then.
    """
    if growth.stage not in (Stage.GROWN, Stage.RELEASED):
        return False
    for number, barrier in growth.barriers.items():
        low, high = bounds[number]
        position = positions.get(number)
        if max(low, 0 if position is None else position) < min(barrier, high):
            return False
    return True
