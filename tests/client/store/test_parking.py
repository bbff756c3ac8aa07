"""Parked tenants: in and out of it in the transactions of the failures themselves."""

import threading
from collections.abc import Callable

import pytest

from trunkline.client.handler import Received, Refusal
from trunkline.client.store import Store, failures, parking
from trunkline.client.store.failures import Status
from trunkline.client.store.position import Lane
from trunkline.codec import Record

Receive = Callable[..., Received]

WHY = Refusal(failures.HANDLER, "cannot")


def fail(store: Store, lane: Lane, record: Record, *, park: bool = True) -> int:
    with store.write() as tx:
        tenant = parking.tenant_of(record)
        if park and tenant is not None:
            parking.park(tx, group=lane.group, topic=lane.topic, tenants=[tenant])
        return failures.add(tx, lane, record, WHY, now_ms=1)


def settle(store: Store, failure_id: int, status: Status = Status.REPLAYED) -> None:
    with store.write() as tx:
        failures.settle(tx, failure_id, status, note="", now_ms=2)


def is_parked(store: Store, lane: Lane, tenant: str = "acme", *, group: str | None = None) -> bool:
    with store.write() as tx:
        return bool(parking.parked(tx, group=group or lane.group, topic=lane.topic, tenants=[tenant]))


def test_a_tenant_flows_again_when_its_last_open_failure_is_settled(
    store: Store, lane: Lane, receive: Receive
) -> None:
    first = fail(store, lane, receive("a", offset=0).record)
    second = fail(store, lane, receive("b", offset=1).record)
    settle(store, first)
    assert is_parked(store, lane)
    settle(store, second, Status.DISCARDED)
    assert not is_parked(store, lane)


def test_only_this_tenant_of_this_group_and_topic_is_parked(
    store: Store, lane: Lane, receive: Receive
) -> None:
    fail(store, lane, receive("a").record)
    assert is_parked(store, lane)
    assert not is_parked(store, lane, "other")
    assert not is_parked(store, lane, group="another")
    with store.write() as tx:
        assert not parking.parked(tx, group=lane.group, topic="tenant.lifecycle.events", tenants=["acme"])


def test_a_failure_that_does_not_park_leaves_no_order_to_keep(
    store: Store, lane: Lane, receive: Receive
) -> None:
    ids = [fail(store, lane, receive(str(n), offset=n).record, park=False) for n in range(3)]
    with store.write() as tx:
        assert parking.blocking(tx, ids[2]) == []


def test_what_blocks_a_failure_are_the_open_ones_of_its_tenant_before_it(
    store: Store, lane: Lane, receive: Receive
) -> None:
    first = fail(store, lane, receive("a", offset=0).record)
    fail(store, lane, receive("b", offset=1, tenant="other").record)
    second = fail(store, lane, receive("c", offset=2).record)
    third = fail(store, lane, receive("d", offset=3).record)
    with store.write() as tx:
        assert parking.blocking(tx, first) == []
        assert parking.blocking(tx, third) == [first, second]
        assert parking.open_failures(tx, group=lane.group, topic=lane.topic, tenant="acme") == [
            first,
            second,
            third,
        ]
    settle(store, first)
    with store.write() as tx:
        assert parking.blocking(tx, third) == [second]


def test_parked_tenants_are_found_however_many_there_are(store: Store, lane: Lane) -> None:
    tenants = [f"tenant-{number}" for number in range(parking.FEW * 3)]
    with store.write() as tx:
        parking.park(tx, group=lane.group, topic=lane.topic, tenants=tenants)
        parking.park(tx, group=lane.group, topic=lane.topic, tenants=tenants[:5])  # Again is fine.
    with store.write() as tx:
        found = parking.parked(tx, group=lane.group, topic=lane.topic, tenants=["tenant-299", "none"])
    assert found == {"tenant-299"}


@pytest.mark.parametrize(
    ("key", "tenant"),
    [(b"acme", "acme"), (None, None), (b"", None), (b"\xff", None), (b"a b", None), (b"x" * 65, None)],
)
def test_the_tenant_is_the_key_if_that_is_a_tenant_id(key: bytes | None, tenant: str | None) -> None:
    record = Record(topic="t", partition=0, offset=0, timestamp_ms=0, key=key, value=None, headers=())
    assert parking.tenant_of(record) == tenant


def test_a_batch_in_flight_and_the_last_replay_cannot_cross(
    store: Store, lane: Lane, receive: Receive
) -> None:
    first = fail(store, lane, receive("a", offset=0).record)
    replay = threading.Thread(target=settle, args=(store, first))
    with store.write() as tx:
        assert parking.parked(tx, group=lane.group, topic=lane.topic, tenants=["acme"])
        replay.start()
        # However long the batch takes, the replay finds what it has parked.
        replay.join(0.2)
        follower = receive("b", offset=1).record
        second = failures.add(tx, lane, follower, Refusal(failures.PARKED, "waits"), now_ms=1)
    replay.join()
    assert is_parked(store, lane)
    settle(store, second)
    assert not is_parked(store, lane)


def test_a_batch_that_comes_during_the_last_replay_waits_for_it_and_flows(
    store: Store, lane: Lane, receive: Receive
) -> None:
    first = fail(store, lane, receive("a", offset=0).record)
    seen: list[frozenset[str]] = []

    def batch() -> None:
        with store.write() as tx:
            seen.append(parking.parked(tx, group=lane.group, topic=lane.topic, tenants=["acme"]))

    following = threading.Thread(target=batch)
    with store.write() as tx:
        assert parking.blocking(tx, first) == []
        following.start()
        following.join(0.2)
        failures.settle(tx, first, Status.REPLAYED, note="", now_ms=2)
        assert seen == []
    following.join()
    assert seen == [frozenset()]
