"""What is overdue though nothing comes."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import select

from trunkline.catalogue.events import Event
from trunkline.codec import Envelope
from trunkline.services.kit.ending.ends import Erasure, end_tenant
from trunkline.services.kit.ending.records import End
from trunkline.services.quality.clock import Clock, ClockThread
from trunkline.services.quality.facts import to_us
from trunkline.services.quality.metrics import Metrics
from trunkline.services.quality.options import OptionsBook
from trunkline.services.quality.state import state_digest
from trunkline.services.quality.tables import QUALITY_TENANT
from trunkline.testing.service_desk import ServiceDesk

Feed = Callable[[Sequence[Envelope[Event]]], None]


def clock(service: ServiceDesk) -> Clock:
    assert service.context.outbox is not None
    from prometheus_client import CollectorRegistry

    return Clock(
        service.store,
        options=OptionsBook(service.context.settings),
        outbox=service.context.outbox,
        metrics=Metrics(CollectorRegistry()),
        wall=lambda: service.now,
    )


def freshness(service: ServiceDesk) -> list[str]:
    return [
        one.tenant
        for one in service.published()
        if one.type == "quality.anomaly_detected.v1" and one.data["metric"] == "freshness"
    ]


def test_silent_tenants_are_looked_at_once_over_several_instances(fed: ServiceDesk) -> None:
    before = freshness(fed)
    one, other = clock(fed), clock(fed)
    fed.now += timedelta(days=3)
    assert one.look() > 0
    assert other.look() == 0
    assert one.look() == 0
    assert sorted(freshness(fed)[len(before) :]) == ["acme", "globex"]


def test_what_the_clock_raised_is_no_part_of_the_digest_until_events_confirm_it(fed: ServiceDesk) -> None:
    looking = clock(fed)
    with fed.store.read() as tx:
        before = state_digest(tx)
    fed.now += timedelta(days=3)
    looking.look()
    with fed.store.read() as tx:
        assert state_digest(tx) == before


def test_an_instance_that_has_just_begun_lets_its_consumer_read_first(fed: ServiceDesk) -> None:
    fed.now += timedelta(days=3)
    fresh = clock(fed)
    assert fresh.look() == 0
    fed.now += timedelta(minutes=10)
    assert fresh.look() > 0


def test_a_log_that_is_read_again_is_no_silence(
    service: ServiceDesk, feed: Feed, month: Sequence[Envelope[Event]]
) -> None:
    looking = clock(service)
    service.now += timedelta(days=90)
    feed(month)
    assert looking.look() == 0


def test_the_thread_ends_when_told(service: ServiceDesk) -> None:
    thread = ClockThread(clock(service), wake=lambda: None, on_failure=lambda _error: None)
    thread.start()
    thread.stop()
    thread.stop()
    ClockThread(clock(service), wake=lambda: None, on_failure=lambda _error: None).stop()


def test_a_tenant_that_ended_since_it_was_found_silent_is_left_alone(service: ServiceDesk) -> None:
    looking = clock(service)
    end = End(tenant="acme", deletion_id="d-1", deleted_at=service.now)
    with service.store.write() as tx:
        erasure = Erasure(service.store, service.app.eraser, publishes=True)
        assert end_tenant(tx, end, erasure, now=service.now)
    assert looking._look_at("acme", to_us(service.now)) == 0
    with service.store.read() as tx:
        assert tx.execute(select(QUALITY_TENANT.c.tenant)).all() == []
