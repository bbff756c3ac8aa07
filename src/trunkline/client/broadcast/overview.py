"""Who has applied what, from what the instances said about themselves. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from trunkline.client.broadcast.acknowledgement import ACKNOWLEDGE_SECONDS, Acknowledgement, age_seconds

GONE_SECONDS: Final = 3 * ACKNOWLEDGE_SECONDS
"""Silent for so long: killed, cut off or hanging. One that stopped has said so."""

FORGOTTEN_SECONDS: Final = 3_600.0
"""One that has been gone for longer is not listed any more."""

Bounds: TypeAlias = Mapping[int, tuple[int, int]]


class Standing(StrEnum):
    """How an instance stands, the worst that is true of it."""

    GONE = "gone"
    DIVERGED = "diverged"
    STALE = "stale"
    BEHIND = "behind"
    CURRENT = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """One instance. `behind` counts records, `seen_seconds` is the age of what it last said."""

    service: str
    instance: str
    standing: Standing
    behind: int
    seen_seconds: float
    digest: str
    rejected: int
    last_rejected: str | None
    positions: Mapping[int, int]


def overview(
    said: Iterable[Acknowledgement], *, topic_id: str, bounds: Bounds, now: datetime
) -> list[InstanceView]:
    """The instances that run or have lately been gone, by service and name.

    `said` may hold any number of acknowledgements in any order; `bounds` are the topic's first and next
    offsets by partition. Diverged is who has another digest than most at the same positions; where there is
    no majority, all of them.
    """
    latest: dict[str, Acknowledgement] = {}
    for one in said:
        known = latest.get(one.name)
        if known is None or known.at <= one.at:
            latest[one.name] = one
    running = [one for one in latest.values() if not one.stopped]
    diverged = _diverged(one for one in running if age_seconds(one, now) <= GONE_SECONDS)
    views = [_view(one, topic_id=topic_id, bounds=bounds, now=now, diverged=diverged) for one in running]
    listed = [view for view in views if view.seen_seconds <= FORGOTTEN_SECONDS]
    return sorted(listed, key=lambda view: (view.service, view.instance))


def _diverged(running: Iterable[Acknowledgement]) -> frozenset[str]:
    together: dict[tuple[object, ...], list[Acknowledgement]] = {}
    for one in running:
        together.setdefault((one.topic_id, *sorted(one.positions.items())), []).append(one)
    names: set[str] = set()
    for peers in together.values():
        digest, votes = Counter(one.digest for one in peers).most_common(1)[0]
        trusted = digest if 2 * votes > len(peers) else None
        names.update(one.name for one in peers if one.digest != trusted)
    return frozenset(names)


def _view(
    one: Acknowledgement, *, topic_id: str, bounds: Bounds, now: datetime, diverged: frozenset[str]
) -> InstanceView:
    positions = one.positions if one.topic_id == topic_id else {}
    # Beyond the end is who has read a tail that the log has lost; it makes up for no other partition.
    behind = sum(
        max(0, high - max(low, positions.get(number, low))) for number, (low, high) in bounds.items()
    )
    age = age_seconds(one, now)
    return InstanceView(
        service=one.service,
        instance=one.instance,
        standing=_standing(one, age=age, behind=behind, diverged=diverged),
        behind=behind,
        seen_seconds=round(age, 3),
        digest=one.digest,
        rejected=one.rejected,
        last_rejected=one.last_rejected,
        positions=one.positions,
    )


def _standing(one: Acknowledgement, *, age: float, behind: int, diverged: frozenset[str]) -> Standing:
    if age > GONE_SECONDS:
        return Standing.GONE
    if one.name in diverged:
        return Standing.DIVERGED
    if one.stale:
        return Standing.STALE
    return Standing.BEHIND if behind > 0 else Standing.CURRENT
