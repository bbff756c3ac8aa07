"""From committed rows to the log: everything, in order, whoever relays."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text, update

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.backoff import Backoff
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import UnknownFailure
from trunkline.client.outbox import Relay, add, rows
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store
from trunkline.codec import Envelope
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess

Made = Callable[..., Envelope[Event]]
Publishing = Callable[[], Publisher]
Log = Callable[[str], list[tuple[str, str]]]
QUICK = Backoff(first=0.02, longest=0.1)


@contextmanager
def relaying(
    store: Store, *publishers: Publisher, registry: CollectorRegistry | None = None
) -> Iterator[list[Relay]]:
    relays = [
        Relay(store, publisher, lease_seconds=2.0, retry=QUICK, registry=registry) for publisher in publishers
    ]
    for relay in relays:
        relay.start()
    try:
        yield relays
    finally:
        for relay in relays:
            relay.stop()


def pending(store: Store) -> int:
    with store.read() as tx:
        return rows.status(tx).pending


def test_several_relays_publish_everything_once_committed_and_each_tenant_in_order(
    store: Store,
    publishing: Publishing,
    log: Log,
    made: Made,
    unique: Callable[[str], str],
) -> None:
    run = unique("run")
    tenants = [f"{run}-{number}" for number in range(6)]
    committed: dict[str, list[str]] = {tenant: [] for tenant in tenants}
    guard = threading.Lock()

    def write(writer: int) -> None:
        for number in range(20):
            tenant = tenants[(writer + number) % len(tenants)]
            mine = [f"{writer}-{number}-{part}" for part in "ab"]
            if number % 5 == 4:
                _roll_back(store, made(mine[0], tenant=tenant))
                continue
            with store.write() as tx:
                for event_id in mine:
                    add(tx, made(event_id, tenant=tenant))
            with guard:
                committed[tenant] += mine

    with relaying(store, publishing(), publishing()) as relays, ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
        for relay in relays:
            relay.wake()
        eventually(lambda: pending(store) == 0)
    found = log(run)
    for tenant in tenants:
        first = list(dict.fromkeys(event_id for owner, event_id in found if owner == tenant))
        assert sorted(first) == sorted(committed[tenant])
        for writer in range(3):
            own = [event_id for event_id in committed[tenant] if event_id.startswith(f"{writer}-")]
            assert [event_id for event_id in first if event_id.startswith(f"{writer}-")] == own


@pytest.mark.parametrize("broken", [{"payload": b"no JSON"}, {"headers": "no JSON"}, {"headers": '{"a": 1}'}])
def test_a_refused_event_stops_its_tenant_only_until_it_is_discarded(
    *,
    broken: dict[str, object],
    store: Store,
    publishing: Publishing,
    log: Log,
    made: Made,
    unique: Callable[[str], str],
) -> None:
    bad, good = unique("bad"), unique("good")
    registry = CollectorRegistry()
    with store.write() as tx:
        add(tx, made("1", tenant=bad))
        add(tx, made("2", tenant=bad))
        add(tx, made("3", tenant=good))
        tx.execute(update(OUTBOX_EVENT).where(OUTBOX_EVENT.c.id == "1").values(broken))
    with relaying(store, publishing(), registry=registry):
        eventually(lambda: pending(store) == 2 and _attempts(store) > 1)
        with store.read() as tx:
            (stuck,) = rows.stuck(tx)
        assert (stuck.tenant, stuck.id) == (bad, "1")
        assert log(good) == [(good, "3")]
        assert log(bad) == []
        eventually(
            lambda: (
                registry.get_sample_value("trunkline_outbox_stuck_tenants", {"service": "query-engine"}) == 1
            )
        )
        with store.write() as tx:
            rows.discard(tx, [stuck.position], note="nonsense", now_ms=1)
        eventually(lambda: pending(store) == 0)
    assert log(bad) == [(bad, "2")]
    with store.read() as tx:
        assert tx.execute(text("SELECT id, note FROM outbox_event")).all() == [("1", "nonsense")]
    with pytest.raises(UnknownFailure), store.write() as tx:
        rows.discard(tx, [stuck.position], note="again", now_ms=2)


@pytest.mark.slow
def test_behind_an_event_that_the_cluster_refused_its_tenant_goes_on_as_soon_as_it_is_discarded(
    store: Store, broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, made: Made
) -> None:
    """The publisher would keep the tenant's later events back for its delivery time-out, two minutes."""
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)
    with store.write() as tx:
        add(tx, made("1"))
        add(tx, made("2"))
    with (
        Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher,
        relaying(store, publisher),
    ):
        eventually(lambda: _attempts(store) > 1, seconds=20)
        with store.read() as tx:
            (stuck,) = rows.stuck(tx)
        with store.write() as tx:
            rows.discard(tx, [stuck.position], note="its topic was missing", now_ms=1)
        ensure_topics(connection, catalogue, "development")
        eventually(lambda: pending(store) == 0)


def test_a_tenant_with_a_long_queue_does_not_keep_the_others_waiting(store: Store, made: Made) -> None:
    with store.write() as tx:
        for number in range(3 * rows.PER_TENANT_MAX):
            add(tx, made(str(number), tenant="long"))
        add(tx, made("x", tenant="short"))
    with store.read() as tx:
        assert rows.tenants_behind(tx, "") == ["long", "short"]
        assert rows.tenants_behind(tx, "long") == ["short"]
        found = rows.heads(tx, ["long", "short"])
    assert len(found) == rows.PER_TENANT_MAX + 1
    assert found[-1].tenant == "short"


def test_the_lanes_of_a_relay_that_died_are_taken_over(
    store: Store, publishing: Publishing, made: Made, unique: Callable[[str], str]
) -> None:
    """The dead one never says that it leaves."""
    dead = Relay(store, publishing(), lease_seconds=1.0)
    dead._claim()
    with store.write() as tx:
        add(tx, made("1", tenant=unique("t")))
    with relaying(store, publishing()):
        eventually(lambda: pending(store) == 0)


def _attempts(store: Store) -> int:
    with store.read() as tx:
        return max((stuck.attempts for stuck in rows.stuck(tx)), default=0)


def _roll_back(store: Store, envelope: Envelope[Event]) -> None:
    class Never(Exception):  # noqa: N818 - what happens is that nothing does
        pass

    def fail() -> None:
        with store.write() as tx:
            add(tx, envelope)
            raise Never

    with pytest.raises(Never):
        fail()
