"""What events come to does not depend on how they are divided into batches, even over most of a year."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.assets import columns_hash
from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import QueryCompleted, QueryFailed, QuerySubmitted
from trunkline.catalogue.names import TenantId
from trunkline.codec import Envelope, new_envelope
from trunkline.services.quality.course import LATE_MAX_US
from trunkline.services.quality.facts import to_us
from trunkline.services.quality.turns import in_turn
from trunkline.testing.suite.cases.quality import CASE, LOADED, READ, SQL
from trunkline.testing.suite.harness import running
from trunkline.testing.suite.streams import START, batches

SPAN = timedelta(days=300)
MAY_BE_LATE = timedelta(microseconds=LATE_MAX_US)
LATE_BY = (timedelta(minutes=10), timedelta(days=3), MAY_BE_LATE, MAY_BE_LATE + timedelta(days=1))
COMMON: dict[str, Any] = {"engine": "duckdb", "sql_fingerprint": "0" * 64}


def told(event: Event, name: str, at: datetime) -> Envelope[Event]:
    return new_envelope(event, tenant=TenantId("acme"), source="/query-engine", id=name, time=at)


def submitted(query_id: str) -> QuerySubmitted:
    return QuerySubmitted(query_id=query_id, user_id="u-1", sql=SQL, **COMMON)


def completed(query_id: str) -> QueryCompleted:
    return QueryCompleted(
        query_id=query_id, user_id="u-1", duration_us=900, rows_returned=1, tables=READ, **COMMON
    )


def loaded(query_id: str, rows: int, columns: str) -> QueryCompleted:
    load = msgspec.structs.replace(completed(query_id), tables=(), tables_written=(LOADED,))
    return msgspec.structs.replace(load, rows_written=rows, columns_hash=columns_hash([columns]))


def failed(query_id: str) -> QueryFailed:
    return QueryFailed(
        query_id=query_id, user_id="u-1", engine="duckdb", error_code="t", message="slow", tables=READ
    )


def a_year(rng: random.Random) -> Iterator[Envelope[Event]]:
    """Loads with long pauses, at full minutes and midnights, told late by everything up to too late."""
    now, pause = START - SPAN, rng.choice((0.5, 3, 12))
    queries: list[str] = []
    for number in range(200):
        now += timedelta(days=rng.expovariate(1) * pause)
        at = now - rng.choice(LATE_BY) * rng.choice((0, 0, 0, rng.random(), 1))
        if rng.random() < 0.5:
            at = at.replace(hour=0, minute=0, second=0, microsecond=0)
        if now > START:
            return
        kind = rng.random()
        event: Event
        if kind < 0.45:
            rows = rng.choice((999, 1_000, 1_001, rng.randrange(5_000)))
            event = loaded(f"l-{number}", rows, rng.choice("aaaaaaab"))
        elif kind < 0.65 or not queries:
            queries.append(f"q-{number}")
            event = submitted(queries[-1])
        else:
            query_id = queries.pop(rng.randrange(len(queries)))
            event = failed(query_id) if kind > 0.9 else completed(query_id)
        yield told(event, f"e-{number}", at)


@pytest.mark.parametrize("minutes", [60, 1_440])
@pytest.mark.parametrize("seed", range(3))
def test_batches_of_any_size_come_to_the_same_and_publish_the_same(
    tmp_path: Path, seed: int, minutes: int
) -> None:
    events = list(a_year(random.Random(seed)))
    case = replace(CASE, settings={**CASE.settings, "quality.window_minutes": minutes})
    found = []
    for size in (1, 7, 1_000):
        place = tmp_path / str(size)
        with running(case, f"sqlite:///{place / 'service.db'}", place) as harness:
            harness.apply_all(batches(events, random.Random(seed), size_max=size))
            found.append((harness.digest(), harness.emitted()))
    assert found[0] == found[1] == found[2]


def test_what_is_too_old_is_so_at_its_turn() -> None:
    old, new = START - MAY_BE_LATE - timedelta(days=1), START
    first, last = told(completed("1"), "1", old), told(completed("2"), "2", new)
    assert [one.envelope.id for one in in_turn([first, last], -1 << 62)] == ["1", "2"]
    assert [one.envelope.id for one in in_turn([last, first], -1 << 62)] == ["2"]
    assert in_turn([first], to_us(new)) == []


def test_only_facts_move_the_time() -> None:
    asked, answered = told(submitted("1"), "1", START), told(completed("1"), "2", START - timedelta(hours=1))
    assert [one.newest_us for one in in_turn([asked, answered], 5)] == [5, to_us(answered.time)]
