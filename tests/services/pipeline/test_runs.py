"""Runs are moved step by step, and every step is told once."""

from datetime import timedelta

import pytest

from trunkline.errors import InvalidInput, NotFound
from trunkline.services.pipeline.lifecycle import State, StepRefused
from trunkline.services.pipeline.runs import Desk
from trunkline.services.pipeline.store import Run, history
from trunkline.testing.service_desk import ServiceDesk


def start(service: ServiceDesk, run_id: str | None = "r-1", *, job: str = "dbt.orders") -> Run:
    with service.store.write() as tx:
        return Desk.of(service.context).start(
            tx,
            "acme",
            job=job,
            namespace="warehouse",
            run_id=run_id,
            outputs=["Warehouse.Orders"],
        )


def test_a_run_from_start_to_end_tells_each_step(service: ServiceDesk) -> None:
    desk = Desk.of(service.context)
    run = start(service, None)
    service.now += timedelta(seconds=5)
    with service.store.write() as tx:
        desk.progress(tx, "acme", run.run_id, percent=40)
        done = desk.complete(tx, "acme", run.run_id, rows_written=2_990)
    assert (done.state, done.rows_written) == (State.COMPLETED, 2_990)
    told = service.published()
    assert [one.type for one in told] == [
        "pipeline.run_started.v1",
        "pipeline.run_running.v1",
        "pipeline.run_completed.v1",
    ]
    assert told[-1].data["duration_ms"] == 5_000
    assert told[-1].data["outputs"] == ["urn:table:warehouse.orders"]


def test_a_repeated_step_changes_and_tells_nothing(service: ServiceDesk) -> None:
    desk = Desk.of(service.context)
    assert start(service) == start(service)
    for _ in range(2):
        with service.store.write() as tx:
            desk.fail(tx, "acme", "r-1", error_code="no_disk", message="full")
    assert len(service.published()) == 2


def test_another_attempt_is_another_event(service: ServiceDesk) -> None:
    desk = Desk.of(service.context)
    start(service)
    for attempt in (1, 2):
        with service.store.write() as tx:
            desk.fail(tx, "acme", "r-1", error_code="no_disk", message="full")
            run = desk.start(tx, "acme", job="dbt.orders", namespace="warehouse", run_id="r-1")
        assert (run.attempt, run.outputs) == (attempt + 1, ("urn:table:warehouse.orders",))
    told = service.published()
    assert len({one.id for one in told}) == len(told) == 5
    assert [one.data.get("attempt", 1) for one in told] == [1, 1, 2, 2, 3]
    with service.store.read() as tx:
        assert len(history(tx, "acme", "r-1").steps) == 5


def test_a_refused_step_changes_nothing(service: ServiceDesk) -> None:
    desk = Desk.of(service.context)
    start(service)
    with service.store.write() as tx:
        desk.abort(tx, "acme", "r-1", actor="ada")
    with pytest.raises(StepRefused, match="is aborted and cannot complete"), service.store.write() as tx:
        desk.complete(tx, "acme", "r-1")
    assert len(service.published()) == 2


def test_a_run_is_of_one_job_and_of_one_tenant(service: ServiceDesk) -> None:
    start(service)
    with pytest.raises(InvalidInput, match="is of warehouse dbt"):
        start(service, job="dbt.other")
    with pytest.raises(NotFound, match="there is none"), service.store.write() as tx:
        Desk.of(service.context).complete(tx, "globex", "r-1")


def test_the_end_of_a_tenant_leaves_nothing(service: ServiceDesk) -> None:
    start(service)
    assert service.app.eraser is not None
    with service.store.write() as tx:
        assert service.app.eraser.erase(tx, "acme") == {"pipeline_step": 1, "pipeline_run": 1}
        assert service.app.eraser.erase(tx, "acme") == {"pipeline_step": 0, "pipeline_run": 0}
