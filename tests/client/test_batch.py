"""Which way a batch takes through the store, and that all of them come to the same."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.handler import PermanentFailure, Received
from trunkline.client.store import Store, dedupe, failures, parking
from trunkline.client.store.position import Lane
from trunkline.codec import Record, encode, new_envelope
from trunkline.testing.consuming import CountingHandler, effects

LANE = Lane(group="g", cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)
Batch = Callable[..., list[Record]]


@pytest.fixture
def batch(event: Event) -> Batch:
    """Records of these event ids, from an offset on."""

    def build(*ids: str, offset: int = 0) -> list[Record]:
        moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        records = []
        for number, event_id in enumerate(ids):
            envelope = new_envelope(event, tenant=TenantId("acme"), source="/s", time=moment, id=event_id)
            made = encode(envelope)
            records.append(
                Record(LANE.topic, 0, offset + number, 1, made.key, made.value, tuple(made.headers))
            )
        return records

    return build


@pytest.fixture
def sifted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that were sifted."""
    sizes: list[int] = []
    sift = dedupe.sift

    def counting(tx: object, group: str, events: list[Received]) -> dedupe.Sifted:
        sizes.append(len(events))
        return sift(tx, group, events)  # type: ignore[arg-type]

    monkeypatch.setattr(dedupe, "sift", counting)
    return sizes


def processor(store: Store, handler: CountingHandler, *, park_tenants: bool = False) -> BatchProcessor:
    return BatchProcessor(store, handler, breaker=Breaker(0), wall_ms=lambda: 1, park_tenants=park_tenants)


def test_only_a_batch_with_something_known_is_sifted_and_the_one_after_it(
    store: Store, batch: Batch, sifted: list[int]
) -> None:
    runs = processor(store, CountingHandler(store))
    assert runs.process(LANE, batch("1", "2"), expected=None).handled == 2
    assert sifted == []
    outcome = runs.process(LANE, batch("2", "3", "3", offset=2), expected=2)
    assert (outcome.handled, outcome.duplicates) == (1, 2)
    runs.process(LANE, batch("4", offset=5), expected=5)
    assert sifted == [3, 1]
    runs.process(LANE, batch("5", offset=6), expected=6)
    assert sifted == [3, 1]
    assert [effect.event_id for effect in effects(store)] == ["1", "2", "3", "4", "5"]


def test_a_handler_that_fails_on_a_new_batch_leaves_no_mark_on_the_failed_event(
    store: Store, batch: Batch
) -> None:
    def objection(received: Received) -> Exception | None:
        return PermanentFailure("no") if received.event.id == "2" else None

    handler = CountingHandler(store, objection=objection)
    outcome = processor(store, handler).process(LANE, batch("1", "2", "3"), expected=None)
    assert (outcome.handled, len(outcome.refused)) == (2, 1)
    again = processor(store, CountingHandler(store)).process(LANE, batch("1", "2", "3", offset=3), expected=3)
    assert (again.handled, again.duplicates) == (1, 2)
    assert [effect.event_id for effect in effects(store)] == ["1", "3", "2"]


def test_events_of_a_parked_tenant_are_not_handled_even_in_a_new_batch(store: Store, batch: Batch) -> None:
    with store.write() as tx:
        parking.park(tx, group=LANE.group, topic=LANE.topic, tenants=["acme"])
    outcome = processor(store, CountingHandler(store), park_tenants=True).process(
        LANE, batch("1", "2"), expected=None
    )
    assert [refusal.reason for _, refusal in outcome.refused] == [failures.PARKED] * 2
    assert effects(store) == []
