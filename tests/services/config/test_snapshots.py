"""Everything again, before retention forgets it; and nothing that the topic knows better is overwritten."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from trunkline.client.broadcast.entries import FlagRule
from trunkline.client.broadcast.reading import WholeState
from trunkline.client.broadcast.state import State
from trunkline.client.outbox import rows
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.services.config.learning import Learning
from trunkline.services.config.snapshots import Snapshots

EVERY = timedelta(hours=6)


def snapshots(service: Any, *, ready: Callable[[], bool] = lambda: True) -> Snapshots:
    return Snapshots(
        service.store,
        service.rules.outbox,
        every=EVERY,
        wall=service.clock,
        wake=lambda: service.wakes.append(1),
        ready=ready,
    )


def published(service: Any) -> list[Any]:
    return [one for one in service.published() if one.type == "config.snapshot_published.v1"]


def fill(service: Any) -> None:
    service.set("a.b", {"x": [1.0, None]})
    service.set("a.b", 2, "tenant", "acme")
    service.unset("a.b", "tenant", "acme")
    service.flag("f", FlagRule(enabled=True, tiers=("gold",)))


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_a_snapshot_alone_makes_the_same_instance(service: Any) -> None:
    fill(service)
    service.clock.move(hours=7)
    snapshots(service)()
    state = State()
    for part in published(service):
        state.apply(part)
    assert state.digest == service.instance().digest
    assert state.entries == service.instance().entries


def test_one_is_made_each_interval_by_whichever_instance_comes_first(
    new_service: Callable[[str], Any], store_url: str
) -> None:
    first, second = new_service(store_url), new_service(store_url)
    works = [snapshots(first), snapshots(second)]
    fill(first)
    for _ in range(3):
        for one in (first, second):
            one.clock.move(hours=4)
        for work in works:
            work()
    assert [one.data.part for one in published(first)] == [1]
    for one in (first, second):
        one.clock.move(hours=4)
    for work in works:
        work()
    versions = [one.data.version for one in published(first)]
    assert len(versions) == len(set(versions)) == 2


def test_nothing_is_no_snapshot(service: Any) -> None:
    work = snapshots(service)
    work()
    work.want()
    work()
    assert service.published() == []


def test_none_is_made_before_the_topic_was_read(service: Any) -> None:
    fill(service)
    service.clock.move(days=1)
    snapshots(service, ready=lambda: False)()
    assert published(service) == []


def whole(*envelopes: Any) -> WholeState:
    state = State()
    for envelope in envelopes:
        state.apply(envelope)
    return WholeState(state=state, positions={}, rejected=0)


def learn(service: Any, topic: WholeState) -> list[str]:
    lacking: list[str] = []
    learning = Learning(
        service.store, lambda: topic, wall=service.clock, lacking=lambda: lacking.append("lacks")
    )
    before = learning.done
    learning()
    assert (before, learning.done) == (False, True)
    return lacking


def sent(service: Any) -> None:
    """As the relay leaves the outbox."""
    with service.store.write() as tx:
        positions = tx.execute(OUTBOX_EVENT.select()).mappings().all()
        rows.remove(tx, [row["position"] for row in positions])


def test_a_restored_store_learns_what_the_topic_has(
    service: Any, new_service: Callable[[str], Any], tmp_path: Any
) -> None:
    restored = new_service(f"sqlite:///{tmp_path / 'restored'}.db")
    restored.set("a.b", "old")
    sent(restored)
    fill(service)
    service.set("a.b", "newer")
    service.set("a.b", "newest")
    assert learn(restored, whole(*service.published())) == []
    assert restored.entries() == service.entries()
    assert restored.set("a.b", "next").version == 4


def test_a_topic_that_lost_its_records_is_told_again(service: Any) -> None:
    fill(service)
    everything = service.published()
    assert learn(service, whole(*everything)) == []
    assert learn(service, whole()) == [], "it is still in the outbox"
    sent(service)
    assert learn(service, whole(*everything)) == []
    assert learn(service, whole(*everything[1:])) == ["lacks"]


def test_a_topic_that_cannot_be_read_is_tried_again(service: Any) -> None:
    asked: list[int] = []

    def read() -> WholeState:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionError("away")
        return whole()

    learning = Learning(service.store, read, wall=service.clock, lacking=lambda: None)
    with pytest.raises(ConnectionError):
        learning()
    done = [learning.done]
    for _ in range(2):
        learning()
        done.append(learning.done)
    assert done == [False, True, True]
    assert len(asked) == 2
