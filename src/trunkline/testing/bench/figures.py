"""What a benchmark reports."""

from collections.abc import Sequence
from statistics import median
from typing import Literal, TypeAlias

import msgspec

Better: TypeAlias = Literal["less", "more"]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured quantity.

    `reference` is the same quantity of the peer named by `peer`, measured in the same run; `target` is what
    the product promises on the machine class of the documentation.
    """

    part: str
    name: str
    unit: str
    better: Better
    value: float
    samples: tuple[float, ...] = ()
    reference: float | None = None
    peer: str | None = None
    target: float | None = None
    ratio: float | None = None
    """`value / reference`, so that figures of different machines can be compared."""
    met: bool | None = None
    """Whether the target was met; None without a target."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    trunkline: str
    python: str
    librdkafka: str
    processors: int
    load_average: float
    """Of the minute before the run; well above zero means that others used the machine too."""
    seconds_per_load: float
    took_seconds: float
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


def figure(
    part: str,
    name: str,
    *,
    samples: Sequence[float],
    unit: str,
    better: Better,
    reference: Sequence[float] = (),
    peer: str | None = None,
    target: float | None = None,
) -> Figure:
    """A figure from one sample a round: the median, rounded to four digits."""
    value = median(samples)
    other = median(reference) if reference else None
    met = None if target is None else (value <= target if better == "less" else value >= target)
    return Figure(
        part=part,
        name=name,
        unit=unit,
        better=better,
        value=_rounded(value),
        samples=tuple(_rounded(sample) for sample in samples),
        reference=None if other is None else _rounded(other),
        peer=peer,
        target=target,
        ratio=_rounded(value / other) if other else None,
        met=met,
    )


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` of all samples do not exceed."""
    ordered = sorted(samples)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
