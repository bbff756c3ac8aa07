"""The books of every service that consumes: they balance, and not once a figure of the log is another."""

import importlib
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from trunkline.codec.record import Record
from trunkline.testing.checker import Claim
from trunkline.testing.oracles import ORACLES
from trunkline.testing.oracles.events import event_log
from trunkline.testing.suite.cases import all_cases
from trunkline.testing.suite.harness import Harness, running, topics_of
from trunkline.testing.suite.streams import batches, consumed, platform_events

SEED = 11
STEP = timedelta(minutes=5)
"""Within the days that every service keeps whole."""

CASES = {case.service: replace(case, settings={}) for case in all_cases()}
"""With nothing set: the oracles know what holds then."""


@pytest.fixture(params=sorted(ORACLES.keys() & CASES.keys()))
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    case = CASES[request.param]
    with running(case, f"sqlite:///{tmp_path / 's.db'}", tmp_path) as opened:
        events = consumed(platform_events(SEED, step=STEP), topics_of(case))
        opened.apply_all(batches(events, random.Random(0)))
        yield opened


def log() -> list[Record]:
    events = platform_events(SEED, step=STEP)
    return [record for batch in batches(events, random.Random(0)) for record in batch.records]


def judged(harness: Harness, records: list[Record]) -> list[Claim]:
    oracle = importlib.import_module(f"trunkline.testing.oracles.{ORACLES[harness.case.service]}")
    with event_log(records) as log:
        found: list[Claim] = oracle.claims(log, harness.store)
    return found


def test_the_books_balance(harness: Harness) -> None:
    claims = judged(harness, log())
    assert claims
    assert [claim for claim in claims if not claim.holds] == []
    assert any(_has_rows(claim) for claim in claims)


def test_a_log_of_other_tenants_does_not_balance(harness: Harness) -> None:
    before = judged(harness, log())
    strange = [swapped(record) for record in log()]
    after = judged(harness, strange)
    told_apart = [not later.holds for first, later in zip(before, after, strict=True) if _has_rows(first)]
    assert told_apart
    assert all(told_apart)


def swapped(record: Record) -> Record:
    """The same of another tenant, in its context and in what it says."""

    def other(text: bytes | None) -> bytes | None:
        if text is None:
            return None
        return text.replace(b"acme", b"\0").replace(b"globex", b"acme").replace(b"\0", b"globex")

    headers = tuple((name, other(value)) for name, value in record.headers)
    return msgspec.structs.replace(record, value=other(record.value), headers=headers)


def _has_rows(claim: Claim) -> bool:
    return not claim.detail.startswith("0 expected")
