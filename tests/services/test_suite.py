"""What every service promises, tried on every service, on SQLite and on PostgreSQL."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from trunkline.catalogue.events import Event
from trunkline.client import failpoints
from trunkline.client.errors import StoreUnavailable
from trunkline.client.store import failures
from trunkline.client.store.position import Fenced
from trunkline.client.store.tables import FAILURE
from trunkline.codec import Envelope
from trunkline.testing.postgres import PostgresServer
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.cases import all_cases
from trunkline.testing.suite.harness import Emitted, Harness, running, topics_of
from trunkline.testing.suite.streams import (
    Batch,
    batches,
    consumed,
    people_of,
    repeated,
    shuffled,
    words_of,
)

SEED = 11
ORDERS = 2
ORDERS_LONG = 10
AUDIT = "audit-service"
"""It drops no evidence: not poison, and not what comes after a tenant's end."""

ERASED = "globex"
STAYS_EVERYWHERE: dict[str, str] = {
    "ended_tenant": "the tombstone",
    "processed_event": "ids and hashes, so that nothing is taken for new",
    "outbox_event": "what the service has yet to tell others, such as that something is gone",
}
WORDY = ("catalog-service", "notification-service")
"""Services that keep what no other tenant's events say, and may keep none of it."""

Place = Callable[[], tuple[str, Path]]


@pytest.fixture(params=all_cases(), ids=lambda case: case.service)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A new, empty database of each kind, and a directory beside it, as often as it is called."""
    numbers = iter(range(1_000))

    def new() -> tuple[str, Path]:
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        if request.param == "sqlite":
            return f"sqlite:///{directory / 'service.db'}", directory
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.create_database(), directory

    return new


@pytest.fixture
def failing() -> Iterator[Callable[[str], None]]:
    """Lets the store go away when this failpoint is reached next."""
    armed: set[str] = set()

    def reached(name: str) -> None:
        if name in armed:
            armed.remove(name)
            raise StoreUnavailable("the store went away")

    failpoints.install(reached)
    yield armed.add
    failpoints.install(None)


@contextmanager
def fresh(case: Case, place: Place) -> Iterator[Harness]:
    with running(case, *place()) as harness:
        yield harness


def stream(case: Case) -> list[Envelope[Event]]:
    return consumed(case.events(SEED), topics_of(case))


def in_order(events: list[Envelope[Event]]) -> list[Batch]:
    return list(batches(events, random.Random(0)))


def applied(case: Case, place: Place, given: list[Batch]) -> tuple[str, set[Emitted]]:
    with fresh(case, place) as harness:
        harness.apply_all(given)
        return harness.digest(), harness.emitted()


def agree_in_any_order(case: Case, place: Place, orders: int) -> None:
    events = stream(case)
    assert events
    expected = applied(case, place, in_order(events))
    for seed in range(orders):
        rng = random.Random(seed)
        other = repeated(shuffled(events, rng), rng)
        digest, _ = applied(case, place, list(batches(other, rng)))
        assert digest == expected[0], f"order {seed}"


def test_any_order_across_topics_and_any_repetition_come_to_the_same(case: Case, place: Place) -> None:
    agree_in_any_order(case, place, ORDERS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_orders_come_to_the_same(case: Case, place: Place) -> None:
    agree_in_any_order(case, place, ORDERS_LONG)


def test_a_replay_into_an_empty_store_comes_to_the_same_and_publishes_the_same(
    case: Case, place: Place
) -> None:
    given = in_order(stream(case))
    assert applied(case, place, given) == applied(case, place, given)


def test_topics_that_come_again_change_nothing(case: Case, place: Place) -> None:
    given = in_order(stream(case))
    with fresh(case, place) as harness:
        harness.apply_all(given)
        before = harness.digest(), harness.emitted()
        harness.rewind()
        harness.apply_all(given)
        assert (harness.digest(), harness.emitted()) == before


def test_what_is_rolled_back_leaves_nothing_that_a_second_try_would_meet(
    case: Case, place: Place, failing: Callable[[str], None]
) -> None:
    """Not in the handler's memory either, where no rollback reaches."""
    given = in_order(stream(case))
    expected = applied(case, place, given)
    with fresh(case, place) as harness:
        for batch in given:
            failing("batch.applied")
            with pytest.raises(StoreUnavailable):
                harness.apply(batch)
            harness.apply(batch)
        assert (harness.digest(), harness.emitted()) == expected


def test_a_zombie_that_wakes_after_a_rebalance_changes_nothing(case: Case, place: Place) -> None:
    given = in_order(stream(case))
    expected = applied(case, place, given)
    url, directory = place()
    with ExitStack() as both:
        zombie = both.enter_context(running(case, url, directory))
        heir = both.enter_context(running(case, url, directory))
        half = len(given) // 2
        zombie.apply_all(given[:half])
        heir.apply_all(given[half:])
        taken = {batch.part for batch in given[half:]}
        for batch in given[half:]:
            if batch.part in {before.part for before in given[:half]}:
                with pytest.raises(Fenced):
                    zombie.apply(batch)
        assert taken
        assert (heir.digest(), heir.emitted()) == expected


def test_poison_at_every_position_changes_nothing_but_the_failure_ledger(case: Case, place: Place) -> None:
    events = stream(case)
    clean = in_order(events)
    expected = applied(case, place, clean)
    ends: dict[tuple[str, int], int] = {}
    for batch in clean:
        ends[batch.part] = ends.get(batch.part, 0) + len(batch.records)
    # Every second place, so that poison stands before and behind every event.
    places = [(*part, offset) for part, end in ends.items() for offset in range(0, 2 * end, 2)]
    with fresh(case, place) as harness:
        harness.apply_all(batches(events, random.Random(0), poisoned=frozenset(places)))
        with harness.store.read() as tx:
            found = tx.execute(select(FAILURE.c.reason)).scalars().all()
        if case.service != AUDIT:
            assert (harness.digest(), harness.emitted()) == expected
        assert len(found) == len(places)
        assert set(found) <= set(failures.REASONS)


def of_others(events: list[Envelope[Event]]) -> list[Envelope[Event]]:
    return [event for event in events if event.tenantid != ERASED]


def left_of(harness: Harness) -> dict[str, int]:
    """What still names the erased tenant and may not."""
    allowed = {*STAYS_EVERYWHERE, *harness.case.keeps}
    return {table: number for table, number in harness.rows_of(ERASED).items() if table not in allowed}


def test_an_erasure_leaves_nothing_and_a_replay_brings_nothing_back(case: Case, place: Place) -> None:
    given = in_order(stream(case))
    with fresh(case, place) as harness:
        harness.apply_all(given)
        assert harness.rows_of(ERASED), "nothing of the tenant to erase"
        harness.end(ERASED)
        assert left_of(harness) == {}
        erased = harness.digest()
        harness.rewind()
        harness.apply_all(given)
        assert left_of(harness) == {}
        assert harness.digest() == erased


def test_an_erasure_leaves_no_name_of_a_person_in_any_file(case: Case, place: Place) -> None:
    events = stream(case)
    people = people_of(events, ERASED)
    with fresh(case, place) as harness:
        harness.apply_all(in_order(events))
        harness.end(ERASED)
        left = harness.everything()
        assert {name for name in people if name in left} == set()


@pytest.mark.parametrize("case", [one for one in all_cases() if one.service in WORDY], indirect=True)
def test_an_erasure_leaves_no_word_of_the_tenant_in_any_file(case: Case, place: Place) -> None:
    events = stream(case)
    with fresh(case, place) as harness:
        empty = harness.everything()
        words = {word for word in words_of(events, ERASED) if word not in empty}
        harness.apply_all(in_order(events))
        kept = harness.everything()
        assert [word for word in words if word in kept], "it keeps nothing that could be left"
        harness.end(ERASED)
        left = harness.everything()
        assert {word for word in words if word in left} == set()


def test_a_store_that_is_built_anew_takes_in_nothing_of_an_ended_tenant(case: Case, place: Place) -> None:
    events = stream(case)
    with fresh(case, place) as without:
        without.apply_all(in_order(of_others(events)))
        without.end(ERASED)
        expected = without.digest()
    with fresh(case, place) as harness:
        harness.end(ERASED)
        harness.apply_all(in_order(events))
        assert left_of(harness) == {}
        if case.service != AUDIT:
            assert harness.digest() == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_at_every_failpoint_and_resume_comes_to_the_same(case: Case, place: Place) -> None:
    """Of those that the service's consumer passes; those of companions are tried where these are tested."""
    reached: set[str] = set()
    failpoints.install(reached.add)
    try:
        expected = applied(case, place, in_order(stream(case)))
    finally:
        failpoints.install(None)
    url, directory = place()
    died_at: set[str] = set()
    for attempt in range(200):
        failpoint = sorted(reached)[attempt % len(reached)]
        arguments = [case.service, url, str(directory), str(SEED), failpoint, str(attempt % 7)]
        command = [sys.executable, "-m", "trunkline.testing.suite.actor", *arguments]
        done = subprocess.run(command, capture_output=True, check=False, env={**os.environ})
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        died_at.add(failpoint)
    assert died_at == reached
    with running(case, url, directory) as harness:
        assert (harness.digest(), harness.emitted()) == expected
