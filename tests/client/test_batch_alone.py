"""Batches in which one event fails where no savepoint holds: at the commit, or with its whole transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.errors import BreakerOpen, StoreUnavailable, TransactionLost
from trunkline.client.handler import PermanentFailure, Received, Refusal, RetryLater
from trunkline.client.store import Store, failures, migrate, open_store, parking, position
from trunkline.client.store.position import Fenced, Lane
from trunkline.codec import Record, encode, new_envelope
from trunkline.testing.consuming import CountingHandler, effects
from trunkline.testing.postgres import PostgresServer

LANE = Lane(group="g", cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

TABLES: Final = (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
    "INSERT INTO parent VALUES (1)",
)
ORPHAN: Final = text("INSERT INTO child VALUES (99)")
"""Fails when the transaction commits, and not before."""
TAKEN: Final = text("INSERT INTO parent VALUES (1)")

Act = Callable[[Connection], object]
Records = Callable[..., list[Record]]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    migrate(opened)
    with opened.write() as tx:
        for statement in TABLES:
            tx.execute(text(statement))
    yield opened
    opened.close()


@pytest.fixture
def records(event: Event) -> Records:
    """Records of these event ids, from an offset on; an id that begins with `?` is no event."""

    def build(*ids: str, offset: int = 0) -> list[Record]:
        made = []
        for number, event_id in enumerate(ids):
            envelope = new_envelope(event, tenant=TenantId("acme"), source="/s", time=TIME, id=event_id)
            encoded = encode(envelope)
            value = b"garbage" if event_id.startswith("?") else encoded.value
            made.append(Record(LANE.topic, 0, offset + number, 1, encoded.key, value, tuple(encoded.headers)))
        return made

    return build


class Acting(CountingHandler):
    """Does something more in the transaction, by event id; `noting` when an event of that id is refused."""

    def __init__(self, store: Store, acts: Mapping[str, Act], *, noting: Act = lambda _tx: None) -> None:
        super().__init__(store)
        self._acts = acts
        self._noting = noting

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        for received in events:
            super().handle(tx, [received])
            if (act := self._acts.get(received.event.id)) is not None:
                act(tx)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        super().refused(tx, record, refusal)
        self._noting(tx)


def orphan(tx: Connection) -> None:
    tx.execute(ORPHAN)


def swallow(tx: Connection) -> None:
    try:
        tx.execute(TAKEN)
    except IntegrityError:
        return


def roll_back(tx: Connection) -> None:
    tx.rollback()


def processor(
    store: Store, handler: CountingHandler, *, breaker: int = 0, park_tenants: bool = False
) -> BatchProcessor:
    return BatchProcessor(
        store, handler, breaker=Breaker(breaker), wall_ms=lambda: 1, park_tenants=park_tenants
    )


def applied(store: Store) -> list[str]:
    return [effect.event_id for effect in effects(store)]


def ledger(store: Store) -> list[tuple[int, str]]:
    with store.read() as tx:
        return [(failure.record.offset, failure.error) for failure in failures.listed(tx)]


def where(store: Store) -> int | None:
    with store.read() as tx:
        return position.read(tx, [LANE])[LANE]


@pytest.mark.parametrize("act", [orphan, roll_back])
def test_only_the_event_whose_commit_fails_goes_to_the_ledger(
    store: Store, records: Records, act: Act
) -> None:
    runs = processor(store, Acting(store, {"2": act}))
    outcome = runs.process(LANE, records("1", "2", "3"), expected=None)
    assert (outcome.handled, [record.offset for record, _ in outcome.refused]) == (2, [1])
    assert applied(store) == ["1", "3"]
    assert [offset for offset, _ in ledger(store)] == [1]
    assert where(store) == 3
    assert runs.process(LANE, records("4", "5", offset=3), expected=3).handled == 2


def test_the_ledger_says_in_one_line_why_a_commit_failed(store: Store, records: Records) -> None:
    processor(store, Acting(store, {"1": orphan})).process(LANE, records("1"), expected=None)
    ((_, error),) = ledger(store)
    assert error.startswith("IntegrityError: ")
    assert "\n" not in error


def test_a_database_error_that_the_handler_catches_never_costs_an_event(
    store: Store, records: Records
) -> None:
    """On SQLite only the statement failed. On PostgreSQL the transaction did, and its commit says nothing."""
    outcome = processor(store, Acting(store, {"2": swallow})).process(
        LANE, records("1", "2", "3"), expected=None
    )
    refused = [record.offset for record, _ in outcome.refused]
    assert refused == [offset for offset, _ in ledger(store)]
    assert [f"{offset + 1}" for offset in refused] + applied(store) in (
        ["1", "2", "3"],
        ["2", "1", "3"],
    )
    assert all("begin_nested" in error for _, error in ledger(store))


def test_a_transaction_in_which_an_error_was_swallowed_is_not_taken_for_committed(store: Store) -> None:
    aborts = store.url.startswith("postgresql")

    def write() -> None:
        with store.write() as tx:
            tx.execute(text("INSERT INTO parent VALUES (2)"))
            swallow(tx)

    if aborts:
        with pytest.raises(TransactionLost):
            write()
    else:
        write()
    with store.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM parent")).scalar() == (1 if aborts else 2)


def test_a_lost_connection_that_the_handler_keeps_quiet_about_is_no_events_fault(
    postgres_server: PostgresServer, records: Records
) -> None:
    store = open_store(postgres_server.create_database())
    migrate(store)
    times = iter([True, True])

    def hang_up(tx: Connection) -> None:
        if next(times, False):
            with suppress(OperationalError):
                tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    runs = processor(store, Acting(store, {"2": hang_up}))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="the connection was lost"):
            runs.process(LANE, records("1", "2"), expected=None)
        assert (applied(store), ledger(store)) == ([], [])
    assert runs.process(LANE, records("1", "2"), expected=None).handled == 2
    store.close()


def test_a_handler_that_cannot_take_note_of_a_refused_record_does_not_keep_it_out_of_the_ledger(
    store: Store, records: Records
) -> None:
    def fail(_tx: Connection) -> None:
        raise ValueError("no note")

    outcome = processor(store, Acting(store, {}, noting=fail)).process(
        LANE, records("1", "?", "3"), expected=None
    )
    assert (outcome.handled, len(outcome.refused)) == (2, 1)
    ((offset, error),) = ledger(store)
    assert offset == 1
    assert error.endswith("; the service could not take note of it: ValueError: no note")
    assert applied(store) == ["1", "3"]


@pytest.mark.parametrize("bad", ["?", "bad"])
def test_a_note_whose_commit_fails_does_not_keep_a_record_out_of_the_ledger(
    store: Store, records: Records, bad: str
) -> None:
    handler = Acting(store, {"bad": orphan}, noting=orphan)
    outcome = processor(store, handler).process(LANE, records("1", bad, "3"), expected=None)
    assert (outcome.handled, len(outcome.refused)) == (2, 1)
    ((offset, error),) = ledger(store)
    assert offset == 1
    assert "; the service could not take note of it: IntegrityError: " in error


def test_a_world_that_goes_away_between_events_costs_none_and_repeats_none(
    store: Store, records: Records
) -> None:
    away = iter([RetryLater("away"), ConnectionResetError("away")])
    calls = count()

    def flaky(_tx: Connection) -> None:
        # It is there for the batch as a whole and one by one, and away for the event alone.
        if next(calls) >= 2 and (error := next(away, None)) is not None:
            raise error

    runs = processor(store, Acting(store, {"2": orphan, "4": flaky}))
    batch = records("1", "2", "3", "4", "5")
    with pytest.raises(RetryLater):
        runs.process(LANE, batch, expected=None)
    assert (applied(store), where(store)) == (["1", "3"], 3)
    with pytest.raises(RetryLater):
        runs.process(LANE, batch, expected=None)
    outcome = runs.process(LANE, [*batch, *records("6", offset=5)], expected=None)
    assert (outcome.handled, [record.offset for record, _ in outcome.refused]) == (5, [1])
    assert applied(store) == ["1", "3", "4", "5", "6"]
    assert where(store) == 6


def test_a_successor_of_a_member_that_died_between_events_goes_on_behind_them(
    store: Store, records: Records
) -> None:
    calls = count()

    def dies(_tx: Connection) -> None:
        if next(calls) >= 2:
            raise RetryLater("away")

    batch = records("1", "2", "3")
    with pytest.raises(RetryLater):
        processor(store, Acting(store, {"1": orphan, "3": dies})).process(LANE, batch, expected=None)
    successor = processor(store, Acting(store, {"1": orphan}))
    with pytest.raises(Fenced):
        successor.process(LANE, batch, expected=None)
    assert where(store) == 2
    assert successor.process(LANE, batch[2:], expected=2).handled == 1
    assert (applied(store), [offset for offset, _ in ledger(store)]) == (["2", "3"], [0])


def test_the_breaker_opens_for_events_whose_commits_fail_and_the_last_one_is_not_skipped(
    store: Store, records: Records
) -> None:
    runs = processor(store, Acting(store, dict.fromkeys("1234", orphan)), breaker=3)
    with pytest.raises(BreakerOpen, match=r"3 events in a row.*/0@2 .*it was not skipped"):
        runs.process(LANE, records("1", "2", "3", "4"), expected=None)
    assert [offset for offset, _ in ledger(store)] == [0, 1]
    assert where(store) == 2


def test_a_tenant_is_parked_behind_an_event_whose_commit_fails(store: Store, records: Records) -> None:
    runs = processor(store, Acting(store, {"2": orphan}), park_tenants=True)
    outcome = runs.process(LANE, records("1", "2", "3"), expected=None)
    assert [refusal.reason for _, refusal in outcome.refused] == [failures.HANDLER, failures.PARKED]
    assert applied(store) == ["1"]
    with store.write() as tx:
        assert parking.parked(tx, group=LANE.group, topic=LANE.topic, tenants=["acme"])


def refuse(_tx: Connection) -> None:
    raise PermanentFailure("no")


FATES: Final[Mapping[str, Act | None]] = {
    "fine": None,
    "refused": refuse,
    "orphan": orphan,
    "swallowed": swallow,
    "rolled back": roll_back,
}
_numbers = count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fates=st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=6),
    outages=st.lists(st.booleans(), max_size=12),
    park_tenants=st.booleans(),
)
def test_whatever_fails_and_however_every_event_takes_effect_once_or_is_in_the_ledger_once(
    store: Store, records: Records, fates: list[str], outages: list[bool], *, park_tenants: bool
) -> None:
    run = next(_numbers)
    lane = Lane(group=f"g{run}", cluster_id="c", topic=LANE.topic, topic_id="i", partition=0)
    ids = [f"{run}-{number}" for number in range(len(fates))]
    remaining = iter(outages)

    def fate_of(fate: str) -> Act:
        def act(tx: Connection) -> None:
            if next(remaining, False):
                raise RetryLater("away")
            if (does := FATES[fate]) is not None:
                does(tx)

        return act

    handler = Acting(store, {event_id: fate_of(fate) for event_id, fate in zip(ids, fates, strict=True)})
    runs = processor(store, handler, park_tenants=park_tenants)
    batch = records(*ids)
    for _ in range(1 + len(outages)):
        try:
            outcome = runs.process(lane, batch, expected=None)
            break
        except RetryLater:
            continue
    effective = [event_id for event_id in applied(store) if event_id in ids]
    with store.read() as tx:
        kept = [f"{run}-{failure.record.offset}" for failure in failures.listed(tx, group=lane.group)]
        assert position.read(tx, [lane])[lane] == len(ids)
    assert sorted(effective + kept) == sorted(ids)
    assert effective == sorted(effective, key=ids.index)
    assert (outcome.handled, len(outcome.refused)) == (len(effective), len(kept))
