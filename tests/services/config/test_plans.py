"""Changes at a time, and those that two people have to want."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trunkline.client import failpoints
from trunkline.errors import InvalidInput
from trunkline.services.config import plans, queries
from trunkline.services.config.plans import PlanClosed, Status
from trunkline.services.config.schedule import Schedule


@pytest.fixture(autouse=True)
def _no_failpoint() -> Iterator[None]:
    yield
    failpoints.install(None)


def all_plans(service: Any) -> list[Any]:
    with service.store.read() as tx:
        return queries.plans(tx, settled=True, limit=100)


def in_hours(service: Any, hours: float) -> Any:
    from datetime import timedelta

    return service.clock() + timedelta(hours=hours)


def test_a_change_is_made_when_its_time_has_come_and_once(service: Any, name: Any) -> None:
    made = service.set("a.b", [1], due=in_hours(service, 2), reason="night")
    assert (made.outcome, made.version) == ("scheduled", None)
    service.clock.move(hours=1.9)
    assert service.desk.apply_due() == []
    service.clock.move(hours=0.2)
    (settled,) = service.desk.apply_due()
    assert (settled.status, settled.version, settled.id) == (Status.APPLIED, 1, made.plan_id)
    assert service.desk.apply_due() == []
    assert service.entries() == {name("a.b"): [1]}
    (event,) = service.published()
    assert (event.data.actor_id, event.data.reason, event.time) == ("ana", "night", service.clock())


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_an_unset_and_a_json_null_can_both_be_planned(service: Any, name: Any) -> None:
    import msgspec

    service.set("a.b", 1)
    service.set("a.c", None, due=in_hours(service, 1))
    service.set("a.b", msgspec.UNSET, due=in_hours(service, 1))
    service.clock.move(hours=2)
    assert len(service.desk.apply_due()) == 2
    assert service.entries() == {name("a.c"): None}


def test_plans_are_applied_in_the_order_of_their_times(service: Any, name: Any) -> None:
    service.set("a.b", "later", due=in_hours(service, 2))
    service.set("a.b", "sooner", due=in_hours(service, 1))
    service.clock.move(hours=3)
    service.desk.apply_due()
    assert service.entries() == {name("a.b"): "later"}


def test_a_time_that_has_passed_is_refused_and_named(service: Any) -> None:
    due = in_hours(service, -1)
    with pytest.raises(InvalidInput, match=rf"^a\.b: {due:%Y-%m-%dT%H:%M:%SZ} is in the past; .*config set"):
        service.set("a.b", 1, due=due)
    assert (service.entries(), all_plans(service)) == ({}, [])


def test_a_plan_for_a_version_that_is_gone_is_refused_with_the_reason(service: Any) -> None:
    service.set("a.b", 1)
    service.set("a.b", 2, due=in_hours(service, 1), expected=1)
    service.set("a.b", 3)
    service.clock.move(hours=2)
    (settled,) = service.desk.apply_due()
    assert (settled.status, settled.note) == (
        Status.REFUSED,
        "a.b has version 2, not 1; look at it and try again",
    )
    assert len(service.published()) == 2


def test_a_plan_that_is_wrong_is_refused_when_it_is_made(service: Any) -> None:
    with pytest.raises(InvalidInput, match="gives money away"):
        service.set("billing.tariffs.x", {"price": 0}, due=in_hours(service, 1))
    with pytest.raises(InvalidInput, match="366 days ahead at most"):
        service.set("a.b", 0, due=in_hours(service, 24 * 400))
    assert all_plans(service) == []


def test_what_waits_is_bounded(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "OPEN_MAX", 2)
    monkeypatch.setattr(plans, "OPEN_OF_SCOPE_MAX", 1)
    service.set("a.b", 1, "tenant", "acme", due=in_hours(service, 1))
    with pytest.raises(InvalidInput, match="1 changes of acme wait already"):
        service.set("a.c", 1, "tenant", "acme", due=in_hours(service, 1))
    service.set("a.b", 1, due=in_hours(service, 1))
    with pytest.raises(InvalidInput, match="2 changes wait already"):
        service.set("a.c", 1, due=in_hours(service, 1))


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_what_needs_approval_waits_for_another_person(service: Any, name: Any) -> None:
    yes = True
    made = service.set("governance.freeze", yes)
    assert made.outcome == "proposed"
    service.clock.move(hours=1)
    assert service.desk.apply_due() == []
    with pytest.raises(InvalidInput, match="another person has to approve"):
        service.desk.approve(made.plan_id, actor="ana")
    settled = service.desk.approve(made.plan_id, actor="bob")
    assert (settled.status, settled.version) == (Status.APPLIED, 1)
    assert service.entries() == {name("governance.freeze"): True}
    with pytest.raises(PlanClosed, match="is applied already"):
        service.desk.approve(made.plan_id, actor="bob")
    assert [plan.approved_by for plan in all_plans(service)] == ["bob"]


def test_an_approval_is_for_what_was_there_when_it_was_proposed(service: Any) -> None:
    yes, no = True, False
    first, second = service.set("governance.freeze", yes), service.set("governance.freeze", no)
    service.desk.approve(first.plan_id, actor="bob")
    settled = service.desk.approve(second.plan_id, actor="bob")
    assert (settled.status, "has version 1, not 0" in str(settled.note)) == (Status.REFUSED, True)


def test_an_approved_change_of_the_future_is_scheduled(service: Any) -> None:
    yes = True
    made = service.set("governance.freeze", yes, due=in_hours(service, 1))
    assert service.desk.approve(made.plan_id, actor="bob").status is Status.SCHEDULED
    with pytest.raises(PlanClosed, match="needs nobody's word"):
        service.desk.approve(made.plan_id, actor="eve")
    service.clock.move(hours=2)
    assert [one.status for one in service.desk.apply_due()] == [Status.APPLIED]


def test_what_was_taken_back_is_never_made(service: Any) -> None:
    made = service.set("a.b", 1, due=in_hours(service, 1))
    assert service.desk.cancel(made.plan_id, actor="eve").note == "by eve"
    service.clock.move(hours=2)
    assert service.desk.apply_due() == []
    with pytest.raises(PlanClosed):
        service.desk.cancel(made.plan_id, actor="eve")
    with pytest.raises(InvalidInput, match="there is no plan"):
        service.desk.cancel("nonsense", actor="eve")


def test_instances_that_apply_at_once_apply_once(new_service: Callable[[str], Any], store_url: str) -> None:
    services = [new_service(store_url) for _ in range(3)]
    for number in range(20):
        services[0].set(f"a.k{number}", number, due=in_hours(services[0], 1))
    for one in services:
        one.clock.move(hours=2)
    threads = [threading.Thread(target=one.desk.apply_due) for one in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(services[0].published()) == 20
    assert {event.data.version for event in services[0].published()} == {1}


class Crash(BaseException):
    """Ends what runs, as a kill does."""


@pytest.mark.parametrize("place", ["config.due_applied", "config.committed"])
def test_a_crash_leaves_a_plan_applied_once_or_not_yet(service: Any, place: str) -> None:
    service.set("a.b", 1, due=in_hours(service, 1))
    service.clock.move(hours=2)

    def die(reached: str) -> None:
        if reached == place:
            raise Crash

    failpoints.install(die)
    with pytest.raises(Crash):
        service.desk.apply_due()
    failpoints.install(None)
    again = service.desk.apply_due()
    assert len(again) == (1 if place == "config.due_applied" else 0)
    (event,) = service.published()
    assert event.data.version == 1
    assert [plan.status for plan in all_plans(service)] == [Status.APPLIED]


def test_the_schedule_looks_again_when_the_next_plan_is_due(service: Any) -> None:
    settled: list[Status] = []
    ready: list[bool] = []
    schedule = Schedule(service.desk, wall=service.clock, ready=lambda: bool(ready), settled=settled.append)
    service.set("a.b", 1, due=in_hours(service, 0.0001))
    assert schedule() == 1.0
    ready.append(True)
    assert schedule() == pytest.approx(0.36)
    service.clock.move(seconds=1)
    assert schedule() == 1.0
    assert settled == [Status.APPLIED]
