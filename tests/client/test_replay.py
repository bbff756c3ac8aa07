"""Replaying failures to the group that failed."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, text

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.errors import UnknownFailure
from trunkline.client.handler import PermanentFailure, Received, Refusal, RetryLater
from trunkline.client.pace import Pace
from trunkline.client.replay import Verdict, open_failures, rehearse, replay, replaying, still_parked
from trunkline.client.store import Store, dedupe, failures, parking
from trunkline.client.store.failures import Filter, Status
from trunkline.client.store.position import Lane
from trunkline.codec import Record, decode, encode, new_envelope
from trunkline.errors import InvalidInput
from trunkline.testing.consuming import CountingHandler, effects

LANE = Lane(group="g", cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def failed(store: Store, event: Event) -> Callable[..., int]:
    """Puts an event into the ledger as if a handler had failed on it."""

    def add(
        event_id: str, *, offset: int = 0, value: bytes | None = None, reason: str = failures.HANDLER
    ) -> int:
        envelope = new_envelope(
            event,
            tenant=TenantId("acme"),
            source="/s",
            time=datetime(2026, 1, 1, tzinfo=UTC),
            id=event_id,
            traceparent=TRACE,
        )
        encoded = encode(envelope)
        record = Record(
            topic=LANE.topic,
            partition=0,
            offset=offset,
            timestamp_ms=1,
            key=encoded.key,
            value=encoded.value if value is None else value,
            headers=tuple(encoded.headers),
        )
        with store.write() as tx:
            return failures.add(tx, LANE, record, Refusal(reason, "bug"), now_ms=1)

    return add


def status(store: Store, failure_id: int) -> tuple[Status, int]:
    with store.read() as tx:
        failure = failures.get(tx, failure_id)
    return failure.status, failure.attempts


def test_a_replayed_event_takes_effect_with_its_own_id_and_trace(
    store: Store, failed: Callable[..., int]
) -> None:
    seen: list[Received] = []

    def look(received: Received) -> None:
        seen.append(received)

    failure_id = failed("1")
    (result,) = replay(store, CountingHandler(store, objection=look), [failure_id])
    assert result.verdict is Verdict.REPLAYED
    assert [effect.event_id for effect in effects(store)] == ["1"]
    assert seen[0].event.traceparent == TRACE
    assert status(store, failure_id) == (Status.REPLAYED, 1)


def test_a_settled_failure_is_not_replayed_again(store: Store, failed: Callable[..., int]) -> None:
    failure_id = failed("1")
    handler = CountingHandler(store)
    replay(store, handler, [failure_id])
    with pytest.raises(UnknownFailure, match="is replayed already"):
        replay(store, handler, [failure_id])
    assert len(effects(store)) == 1


def test_an_event_that_came_again_and_was_processed_meanwhile_has_no_second_effect(
    store: Store, failed: Callable[..., int]
) -> None:
    failure_id = failed("1")
    with store.write() as tx:
        record = failures.get(tx, failure_id).record
        sifted = dedupe.sift(tx, "g", [Received(record, decode(record))])
        dedupe.remember(tx, "g", sifted.fresh, sifted.digests)
    (result,) = replay(store, CountingHandler(store), [failure_id])
    assert result.verdict is Verdict.ALREADY_PROCESSED
    assert effects(store) == []
    assert status(store, failure_id)[0] is Status.REPLAYED


def test_what_fails_again_stays_open_with_another_attempt_and_no_effect(
    store: Store, failed: Callable[..., int]
) -> None:
    first, second = failed("1"), failed("2", offset=1)

    def objection(received: Received) -> Exception | None:
        return PermanentFailure("still") if received.event.id == "1" else None

    results = replay(store, CountingHandler(store, objection=objection), [first, second])
    assert [result.verdict for result in results] == [Verdict.FAILED_AGAIN, Verdict.REPLAYED]
    assert results[0].refusal == Refusal(failures.HANDLER, "PermanentFailure: still")
    assert status(store, first) == (Status.OPEN, 2)
    assert [effect.event_id for effect in effects(store)] == ["2"]


def test_what_is_no_event_fails_again_with_the_codecs_reason(
    store: Store, failed: Callable[..., int]
) -> None:
    (result,) = replay(store, CountingHandler(store), [failed("1", value=b"not json")])
    assert result.refusal is not None
    assert result.refusal.reason == "undecodable"


def test_a_world_that_is_away_is_no_attempt(store: Store, failed: Callable[..., int]) -> None:
    failure_id = failed("1")
    handler = CountingHandler(store, objection=lambda _: ConnectionResetError("away"))
    with pytest.raises(RetryLater):
        replay(store, handler, [failure_id])
    assert status(store, failure_id) == (Status.OPEN, 1)


# A tenant's order


def parked(store: Store, failed: Callable[..., int], *event_ids: str) -> list[int]:
    """Failures of one parked tenant, the first one its handler's, the others behind it."""
    ids = [failed(event_id, offset=offset) for offset, event_id in enumerate(event_ids)]
    with store.write() as tx:
        parking.park(tx, group=LANE.group, topic=LANE.topic, tenants=["acme"])
    return ids


def is_parked(store: Store) -> bool:
    with store.read() as tx:
        return bool(parking.parked(tx, group=LANE.group, topic=LANE.topic, tenants=["acme"]))


def test_a_parked_tenants_events_take_effect_in_their_order_and_then_it_flows(
    store: Store, failed: Callable[..., int]
) -> None:
    ids = parked(store, failed, "1", "2", "3")
    results = replay(store, CountingHandler(store), ids)
    assert {result.verdict for result in results} == {Verdict.REPLAYED}
    assert [effect.event_id for effect in effects(store)] == ["1", "2", "3"]
    assert not is_parked(store)


def test_behind_an_event_that_fails_again_the_rest_of_a_parked_tenant_is_held_back_untouched(
    store: Store, failed: Callable[..., int]
) -> None:
    ids = parked(store, failed, "1", "2", "3")
    handler = CountingHandler(
        store, objection=lambda received: PermanentFailure("no") if received.event.id == "2" else None
    )
    verdicts = [result.verdict for result in replay(store, handler, ids)]
    assert verdicts == [Verdict.REPLAYED, Verdict.FAILED_AGAIN, Verdict.HELD_BACK]
    assert status(store, ids[2]) == (Status.OPEN, 1)
    assert is_parked(store)
    (alone,) = replay(store, handler, [ids[2]])
    assert alone.verdict is Verdict.HELD_BACK


def test_what_joins_a_parked_tenant_during_a_replay_is_replayed_too(
    store: Store, failed: Callable[..., int]
) -> None:
    parked(store, failed, "1", "2")
    verdicts = []
    for result in replaying(store, CountingHandler(store), open_failures(store, group=LANE.group)):
        verdicts.append(result.verdict)
        if len(verdicts) == 1:
            failed("3", offset=3, reason=failures.PARKED)
    assert verdicts == [Verdict.REPLAYED] * 3
    assert [effect.event_id for effect in effects(store)] == ["1", "2", "3"]
    assert not is_parked(store)


def test_a_tenant_whose_events_come_faster_than_they_are_replayed_is_named_at_the_end(
    store: Store, failed: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.client.replay.LATE_ROUNDS_MAX", 2)
    parked(store, failed, "1", "2")
    assert [left.failures for left in still_parked(store, group=LANE.group)] == [2]
    for number, result in enumerate(
        replaying(store, CountingHandler(store), open_failures(store, group=LANE.group))
    ):
        assert result.verdict is Verdict.REPLAYED
        failed(str(3 + number), offset=3 + number, reason=failures.PARKED)
    (left,) = still_parked(store, group=LANE.group)
    assert (left.topic, left.tenantid, left.failures) == (LANE.topic, "acme", 2)
    assert still_parked(store, group=LANE.group, matching=Filter(tenant="globex")) == []
    assert still_parked(store, group="another") == []
    replay(store, CountingHandler(store), open_failures(store, group=LANE.group))
    assert still_parked(store, group=LANE.group) == []


# Two at once, and what only the commit refuses


def test_what_another_replay_has_settled_counts_as_processed_unless_it_was_asked_for_by_its_id(
    store: Store, failed: Callable[..., int]
) -> None:
    ids = [failed(str(number), offset=number) for number in range(4)]
    handler = CountingHandler(store)
    slow = replaying(store, handler, open_failures(store, group=LANE.group))
    named = replaying(store, handler, ids)
    next(slow)
    assert len(replay(store, handler, open_failures(store, group=LANE.group))) == 3
    assert [result.verdict for result in slow] == [Verdict.ALREADY_PROCESSED] * 3
    with pytest.raises(UnknownFailure, match="is replayed already"):
        next(named)
    assert [effect.event_id for effect in effects(store)] == ["0", "1", "2", "3"]


def test_an_event_whose_commit_fails_has_failed_again_and_the_others_are_replayed(
    store: Store, failed: Callable[..., int]
) -> None:
    with store.write() as tx:
        tx.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        tx.execute(text("CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"))

    class Orphaning(CountingHandler):
        def handle(self, tx: Connection, events: Sequence[Received]) -> None:
            super().handle(tx, events)
            if events[0].event.id == "2":
                tx.execute(text("INSERT INTO child VALUES (99)"))

    ids = [failed(str(number), offset=number) for number in range(1, 4)]
    results = replay(store, Orphaning(store), ids)
    verdicts = [result.verdict for result in results]
    assert verdicts == [Verdict.REPLAYED, Verdict.FAILED_AGAIN, Verdict.REPLAYED]
    assert results[1].refusal is not None
    assert results[1].refusal.detail.startswith("IntegrityError: ")
    assert status(store, ids[1]) == (Status.OPEN, 2)
    assert [effect.event_id for effect in effects(store)] == ["1", "3"]


# Without a transaction


class Sender:
    """Keeps what it was given; `objection` may say why an event fails."""

    def __init__(self, objection: Callable[[str], Exception | None] = lambda _: None) -> None:
        self.sent: list[str] = []
        self._objection = objection

    def handle(self, events: Sequence[Received]) -> None:
        for received in events:
            if (error := self._objection(received.event.id)) is not None:
                raise error
            self.sent.append(received.event.id)


def test_the_ledger_of_a_consumer_without_a_database_is_replayed_with_its_handler(
    store: Store, failed: Callable[..., int]
) -> None:
    ids = [failed("1"), failed("2", offset=1), failed("3", offset=2, value=b"not json")]
    sender = Sender(lambda event_id: PermanentFailure("still") if event_id == "1" else None)
    results = replay(store, sender, open_failures(store, group=LANE.group))
    assert [(result.verdict, result.refusal and result.refusal.reason) for result in results] == [
        (Verdict.FAILED_AGAIN, failures.HANDLER),
        (Verdict.REPLAYED, None),
        (Verdict.FAILED_AGAIN, "undecodable"),
    ]
    assert sender.sent == ["2"]
    assert [status(store, failure_id) for failure_id in ids] == [
        (Status.OPEN, 2),
        (Status.REPLAYED, 1),
        (Status.OPEN, 2),
    ]


def test_a_world_that_is_away_is_no_attempt_without_a_database_either(
    store: Store, failed: Callable[..., int]
) -> None:
    failure_id = failed("1")
    with pytest.raises(RetryLater):
        replay(store, Sender(lambda _: ConnectionResetError("away")), [failure_id])
    assert status(store, failure_id) == (Status.OPEN, 1)


def test_what_is_no_handler_is_refused_and_no_attempt_is_counted(
    store: Store, failed: Callable[..., int]
) -> None:
    failure_id = failed("1")
    with pytest.raises(InvalidInput, match=r"object is no handler; give it handle\(tx, events\)"):
        replay(store, object(), [failure_id])  # type: ignore[arg-type]
    assert status(store, failure_id) == (Status.OPEN, 1)


def test_what_cannot_be_rolled_back_is_not_rehearsed(store: Store, failed: Callable[..., int]) -> None:
    sender = Sender()
    with pytest.raises(InvalidInput, match="Sender has no transaction"):
        rehearse(store, sender, [failed("1")])  # type: ignore[arg-type]
    assert sender.sent == []


# Choosing, pacing, rehearsing


def test_what_is_open_is_read_page_by_page_while_it_is_replayed(
    store: Store, failed: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.client.replay.PAGE", 2)
    ids = [failed(str(number), offset=number) for number in range(5)]
    assert [
        found.failure_id
        for found in replaying(store, CountingHandler(store), open_failures(store, group="g"))
    ] == ids
    more = [failed(str(number), offset=number) for number in range(5, 9)]
    assert list(open_failures(store, group="g", limit=3)) == more[:3]
    assert list(open_failures(store, group="another")) == []


def test_a_rehearsal_says_what_a_replay_would_and_changes_nothing(
    store: Store, failed: Callable[..., int]
) -> None:
    ids = parked(store, failed, "1", "2", "3")
    handler = CountingHandler(
        store, objection=lambda received: PermanentFailure("no") if received.event.id == "2" else None
    )
    expected = [Verdict.REPLAYED, Verdict.FAILED_AGAIN, Verdict.HELD_BACK]
    assert [result.verdict for result in rehearse(store, handler, ids)] == expected
    assert effects(store) == []
    assert [status(store, failure_id) for failure_id in ids] == [(Status.OPEN, 1)] * 3
    assert is_parked(store)
    assert [result.verdict for result in replay(store, handler, ids)] == expected


def test_a_paced_replay_waits_between_events_and_not_for_what_is_held_back(
    store: Store, failed: Callable[..., int]
) -> None:
    ids = parked(store, failed, "1", "2", "3", "4")
    clock = Clock()
    handler = CountingHandler(
        store, objection=lambda received: PermanentFailure("no") if received.event.id == "2" else None
    )
    results = replaying(store, handler, ids, pace=Pace(2), stopping=clock, monotonic=clock.monotonic)
    assert len(list(results)) == 4
    assert clock.waited == [0.0, 0.5, 0.5, 0.0]


def test_a_replay_that_is_stopped_keeps_what_it_has_done(store: Store, failed: Callable[..., int]) -> None:
    ids = [failed(str(number), offset=number) for number in range(3)]
    stopping = threading.Event()
    for _ in replaying(store, CountingHandler(store), ids, stopping=stopping):
        stopping.set()
    assert [status(store, failure_id)[0] for failure_id in ids] == [
        Status.REPLAYED,
        Status.OPEN,
        Status.OPEN,
    ]


class Clock(threading.Event):
    """Nobody stops; waiting only moves the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waited: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0.0)
        self.now += timeout or 0.0
        return False
