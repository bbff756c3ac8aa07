"""Replaying failures to the group that failed."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.errors import UnknownFailure
from trunkline.client.handler import PermanentFailure, Received, Refusal, RetryLater
from trunkline.client.replay import Verdict, replay
from trunkline.client.store import Store, dedupe, failures
from trunkline.client.store.failures import Status
from trunkline.client.store.position import Lane
from trunkline.codec import Record, decode, encode, new_envelope
from trunkline.testing.consuming import CountingHandler, effects

LANE = Lane(group="g", cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def failed(store: Store, event: Event) -> Callable[..., int]:
    """Puts an event into the ledger as if a handler had failed on it."""

    def add(event_id: str, *, offset: int = 0, value: bytes | None = None) -> int:
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
            return failures.add(tx, LANE, record, Refusal(failures.HANDLER, "bug"), now_ms=1)

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
