"""Nothing of a tenant takes effect after its end, whichever way the end comes."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.handler import Received, Refusal
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import failures, parking, position
from trunkline.client.store.position import Lane
from trunkline.client.store.tables import FAILURE, PARKED_TENANT
from trunkline.codec.record import Record
from trunkline.services.kit.ending import End, Held, TenantEnded, ended, require_not_ended
from trunkline.services.kit.ending.ends import Erasure, erase

Events = tuple[Callable[[str, int], Received], Callable[[str, int], Received], Callable[[str], End]]
LANE = Lane(
    group="billing-service", cluster_id="c", topic="query.execution.events", topic_id="1", partition=0
)


def test_a_batch_takes_effect_up_to_the_end_and_is_then_erased(new_service: Any, events: Events) -> None:
    query, deleted, _ = events
    service = new_service()
    service.handle(query("acme", 1), query("globex", 1))
    service.handle(query("acme", 2), deleted("acme", 3), query("acme", 4), query("globex", 5))
    assert service.seen() == ["globex-1", "globex-5"]
    assert service.effects.erasures == ["acme"]
    with service.store.read() as tx:
        (one,) = ended(tx)
    assert (one.tenant, one.deletion_id, one.dropped) == ("acme", "acme-end", 1)
    assert one.erased == {"effect": 3}


def test_later_events_are_dropped_and_counted(new_service: Any, events: Events) -> None:
    query, deleted, _ = events
    service = new_service()
    service.handle(deleted("acme", 1))
    service.handle(query("acme", 2), query("globex", 1), query("acme", 3), deleted("acme", 4))
    assert service.seen() == ["globex-1"]
    assert service.effects.erasures == ["acme"]
    assert service.ending.counts() == {"erasing": 0, "answering": 1, "answered": 0, "dropped": 3}


def test_an_end_that_was_announced_before_the_first_event_leaves_nothing_to_erase(
    new_service: Any, events: Events
) -> None:
    query, deleted, an_end = events
    service = new_service()
    assert service.ending.end(an_end("acme"))
    service.handle(*(query("acme", number) for number in range(5)), deleted("acme", 6))
    assert service.seen() == []
    assert not service.ending.end(an_end("acme"))


def test_the_platform_itself_has_no_end(new_service: Any, events: Events) -> None:
    query, deleted, _ = events
    service = new_service()
    service.handle(query("system", 1), deleted("system", 2), query("system", 3))
    assert service.seen() == ["system-1", "system-end", "system-3"]
    assert service.effects.erasures == []


def test_what_is_left_of_a_tenant_in_ledger_and_outbox_goes_too(new_service: Any, events: Events) -> None:
    query, _, an_end = events
    service = new_service()
    with service.store.write() as tx:
        refusal = Refusal("undecodable", "it is garbage")
        for tenant in ("acme", "globex"):
            record = Record(LANE.topic, 0, len(tenant), 1, tenant.encode(), b"secret", ())
            failures.add(tx, LANE, record, refusal, now_ms=1)
            parking.park(tx, group=LANE.group, topic=LANE.topic, tenants=[tenant])
    service.ending.end(an_end("acme"))
    with service.store.read() as tx:
        assert tx.execute(select(FAILURE.c.tenantid)).scalars().all() == ["globex"]
        assert tx.execute(select(PARKED_TENANT.c.tenantid)).scalars().all() == ["globex"]
        assert tx.execute(select(OUTBOX_EVENT.c.id)).all() == []
        (one,) = ended(tx)
    assert one.erased == {"failure": 1, "parked_tenant": 1}
    service.handle(query("globex", 1))


def test_poison_of_an_ended_tenant_does_not_stay_in_the_failure_ledger(
    new_service: Any, events: Events
) -> None:
    query, _, an_end = events
    service = new_service()
    service.ending.end(an_end("acme"))
    processor = BatchProcessor(service.store, service.handler, breaker=Breaker(0), wall_ms=lambda: 1)
    first, last = query("globex", 0).record, query("globex", 3).record
    poison = [
        Record(first.topic, 0, n, 1, name, b"{no json", ()) for n, name in ((1, b"acme"), (2, b"globex"))
    ]
    batch = [
        Record(LANE.topic, 0, item.offset, 1, item.key, item.value, item.headers)
        for item in (first, *poison, last)
    ]
    processor.process(LANE, batch, expected=None)
    with service.store.read() as tx:
        assert tx.execute(select(FAILURE.c.tenantid)).scalars().all() == ["globex"]
        assert position.read(tx, [LANE])[LANE] == 4
    assert service.seen() == ["globex-0", "globex-3"]
    assert [record.key for record in service.effects.refusals] == [b"globex"]
    assert service.ending.counts()["dropped"] == 1


@pytest.mark.parametrize("objection", [Held("a legal hold"), ValueError("a bug")])
def test_a_tenant_has_ended_even_if_its_data_cannot_be_erased_yet(
    new_service: Any, events: Events, objection: Exception
) -> None:
    query, deleted, _ = events
    service = new_service()
    service.effects.objection = objection
    service.handle(query("acme", 1), deleted("acme", 2))
    service.handle(query("acme", 3))
    assert service.seen() == ["acme-1", "acme-end"]
    with service.store.read() as tx:
        (one,) = ended(tx)
    assert one.erased_at is None
    assert str(objection) in (one.waits_for or "")
    service.effects.objection = None
    with service.store.write() as tx:
        erasure = Erasure(service.store, service.effects, publishes=True)
        assert erase(tx, "acme", erasure, now=service.context.wall())
        assert erase(tx, "acme", erasure, now=service.context.wall())
    assert service.seen() == []
    assert service.effects.erasures == ["acme", "acme"]


def test_a_service_that_may_not_drop_anything_gets_what_comes_late(new_service: Any, events: Events) -> None:
    query, deleted, _ = events
    late = type(new_service().effects)()
    service = new_service(late=late)
    service.handle(query("acme", 1), deleted("acme", 2), query("acme", 3))
    service.handle(query("acme", 4), query("globex", 1))
    assert service.seen() == ["acme-3", "globex-1", "acme-4"] or service.seen() == [
        "acme-3",
        "acme-4",
        "globex-1",
    ]
    assert service.ending.counts()["dropped"] == 0


def test_nothing_can_be_done_for_an_ended_tenant_beside_the_consumer(
    new_service: Any, events: Events
) -> None:
    _, _, an_end = events
    service = new_service()
    service.ending.end(an_end("acme"))
    with service.store.write() as tx:
        require_not_ended(tx, "globex")
        with pytest.raises(TenantEnded, match="acme was deleted"):
            require_not_ended(tx, "acme")


def test_two_instances_that_hear_of_the_end_at_once_erase_once(new_service: Any, events: Events) -> None:
    query, deleted, an_end = events
    one, other = new_service(), new_service()
    one.handle(*(query("acme", number) for number in range(50)))
    threads = [
        threading.Thread(target=one.handle, args=(deleted("acme", 99),)),
        threading.Thread(target=other.ending.end, args=(an_end("acme"),)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.seen() == []
    assert sorted(one.effects.erasures + other.effects.erasures) == ["acme"]


def test_an_effect_that_is_under_way_is_erased_and_one_that_comes_later_is_dropped(
    new_service: Any, events: Events
) -> None:
    """On PostgreSQL the erasure waits for it; on SQLite there is one writer at a time anyway."""
    query, _, an_end = events
    one, other = new_service(), new_service()
    erasing = threading.Thread(target=other.ending.end, args=(an_end("acme"),))
    with one.store.write() as tx:
        one.handler.handle(tx, [query("acme", 1)])
        erasing.start()
        erasing.join(0.2)
        assert erasing.is_alive()
    erasing.join()
    one.handle(query("acme", 2))
    assert one.seen() == []
