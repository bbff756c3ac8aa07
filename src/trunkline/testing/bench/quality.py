"""How good the monitors of data quality are against a plain z-score, and how fast they take events."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.quality_stream import (
    DAYS,
    FAULTS,
    found_by_monitors,
    found_by_z_score,
    judged,
    stream,
)
from trunkline.testing.suite.cases.quality import CASE
from trunkline.testing.suite.harness import running, topics_of
from trunkline.testing.suite.streams import batches, consumed

PART: Final = "quality"
PEER: Final = "z-score, 3 sigmas"

NOTES: Final = (
    f"quality: {DAYS} days of loads and queries of 30 tables with known faults ({', '.join(FAULTS)}); the "
    "peer judges the same daily values by mean and standard deviation of all days before",
)


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Precision, recall and false alarms on fault-injected streams, and events a second on SQLite."""
    say("quality of monitors")
    streams = [stream(seed) for seed in range(1, rounds + 1)]
    ours = [judged(one, found_by_monitors(one)) for one in streams]
    theirs = [judged(one, found_by_z_score(one)) for one in streams]
    figures = [
        figure(
            PART,
            "precision",
            samples=[one.precision for one in ours],
            reference=[one.precision for one in theirs],
            peer=PEER,
            unit="share",
            better="more",
            target=0.85,
        ),
        figure(
            PART,
            "recall",
            samples=[one.recall for one in ours],
            reference=[one.recall for one in theirs],
            peer=PEER,
            unit="share",
            better="more",
            target=0.9,
        ),
        figure(
            PART,
            "false alarms",
            samples=[one.false_alarms_per_asset_month for one in ours],
            reference=[one.false_alarms_per_asset_month for one in theirs],
            peer=PEER,
            unit="per asset-month",
            better="less",
        ),
    ]
    figures += [
        figure(
            PART,
            f"recall, {fault}",
            samples=[one.by_fault[fault] for one in ours],
            reference=[one.by_fault[fault] for one in theirs],
            peer=PEER,
            unit="share",
            better="more",
        )
        for fault in FAULTS
    ]
    say("quality, events on SQLite")
    speeds = [_speed(directory / str(number)) for number in range(rounds)]
    return [*figures, figure(PART, "events, sqlite", samples=speeds, unit="events/s", better="more")]


def _speed(directory: Path) -> float:
    directory.mkdir(parents=True)
    events = consumed(CASE.events(1), topics_of(CASE))
    given = list(batches(events, random.Random(0)))  # noqa: S311 - the same batches every time
    with running(CASE, f"sqlite:///{directory / 'service.db'}", directory) as harness:
        began = time.perf_counter()
        harness.apply_all(given)
        return len(events) / (time.perf_counter() - began)
