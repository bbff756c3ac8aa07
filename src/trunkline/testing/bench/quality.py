"""How good the monitors of data quality are against a plain z-score, and how fast they take events."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import QueryCompleted, QueryFailed
from trunkline.catalogue.names import TenantId
from trunkline.codec import Envelope, new_envelope
from trunkline.services.quality.facts import Fact, from_us
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
from trunkline.testing.suite.harness import running
from trunkline.testing.suite.streams import batches

PART: Final = "quality"
EVENTS: Final = 20_000
END: Final = datetime(2030, 1, 1, tzinfo=UTC)
"""Behind all of the stream's events."""

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
    """Batches of a hundred, as a consumer that is behind gets them: six tables, a hundred days."""
    directory.mkdir(parents=True)
    events = [_event(fact) for fact in stream(1, copies=1).facts[:EVENTS]]
    given = list(batches(events, _Full()))
    with running(CASE, f"sqlite:///{directory / 'service.db'}", directory, now=END) as harness:
        began = time.perf_counter()
        harness.apply_all(given)
        return len(events) / (time.perf_counter() - began)


class _Full(random.Random):
    """Lets every batch become as large as it may."""

    def randint(self, a: int, b: int) -> int:  # noqa: ARG002 - as in Random
        return b


def _event(fact: Fact) -> Envelope[Event]:
    tables = fact.reads or fact.failed
    made: Event
    if fact.failed:
        made = QueryFailed(
            query_id=fact.id,
            user_id="u",
            engine="duckdb",
            error_code="timeout",
            message="slow",
            tables=tables,
        )
    else:
        made = QueryCompleted(
            query_id=fact.id,
            user_id="u",
            engine="duckdb",
            sql_fingerprint="0" * 64,
            duration_us=fact.duration_us or 0,
            rows_returned=0,
            tables=tables,
            tables_written=fact.writes,
            rows_written=fact.rows_written,
            columns_hash=fact.columns_hash,
        )
    return new_envelope(
        made, tenant=TenantId("bench"), source="/query-engine", id=fact.id, time=from_us(fact.at_us)
    )
