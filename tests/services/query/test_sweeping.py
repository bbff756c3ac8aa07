"""What a crash leaves is ended, the log stays bounded, and nothing of an ended tenant stays here."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from trunkline.client import failpoints
from trunkline.services.query import log
from trunkline.services.query.app import QueryEraser
from trunkline.services.query.state import state_digest
from trunkline.services.query.sweeping import Sweeper
from trunkline.testing.query import EngineBench


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def sweeper(each_bench: EngineBench) -> Sweeper:
    return Sweeper(
        each_bench.store,
        each_bench.outbox,
        each_bench.databases,
        each_bench.settings,
        wake=each_bench.wake,
        wall=lambda: each_bench.now,
    )


def states(bench: EngineBench) -> list[str]:
    with bench.store.read() as tx:
        return [entry.state for entry in log.entries(tx, "acme", limit=10)]


@pytest.mark.parametrize("place", ["query.submitted", "query.executed"])
def test_a_query_that_lost_its_engine_fails_once_and_only_when_it_is_overdue(
    place: str, each_bench: EngineBench, sweeper: Sweeper
) -> None:
    def kill(name: str) -> None:
        if name == place:
            raise Killed

    failpoints.install(kill)
    try:
        with pytest.raises(Killed):
            each_bench.run("SELECT 1")
    finally:
        failpoints.install(None)
    assert states(each_bench) == ["running"]
    assert sweeper.sweep() == 0
    each_bench.now += timedelta(minutes=2)
    assert (sweeper.sweep(), sweeper.sweep()) == (1, 0)
    assert states(each_bench) == ["failed"]
    assert [kind for kind, _ in each_bench.events()] == ["query.submitted.v1", "query.failed.v1"]
    assert each_bench.events()[1][1]["error_code"] == "engine_lost"


def test_the_log_keeps_the_newest(each_bench: EngineBench, sweeper: Sweeper) -> None:
    each_bench.values["query.log_rows"] = 100
    for number in range(103):
        each_bench.run(f"SELECT {number}")
    sweeper.sweep()
    with each_bench.store.read() as tx:
        kept = log.entries(tx, "acme", limit=1_000)
    assert [entry.sql for entry in kept] == [f"SELECT {number}" for number in range(102, 2, -1)]


def test_an_erased_tenant_leaves_neither_entries_nor_data(each_bench: EngineBench, sweeper: Sweeper) -> None:
    each_bench.run("SELECT max(secret) FROM hr.salary")
    each_bench.run("SELECT 1", tenant="other")
    with each_bench.store.write() as tx:
        counts = QueryEraser(each_bench.databases).erase(tx, "acme")
    assert counts == {"query_log": 1, "database": 1}
    assert not each_bench.databases.path("acme").exists()
    assert states(each_bench) == []
    assert each_bench.databases.tenants() == ["other"]


def test_each_instance_drops_its_own_files_of_an_ended_tenant(
    each_bench: EngineBench, sweeper: Sweeper
) -> None:
    with each_bench.store.write() as tx:
        tx.execute(
            text(
                "INSERT INTO ended_tenant (tenant, deletion_id, deleted_us, ended_us, dropped) "
                "VALUES ('acme', 'd-1', 1, 1, 0)"
            )
        )
    with each_bench.databases.of("acme"):
        sweeper.sweep()
        assert each_bench.databases.path("acme").exists()
    sweeper.sweep()
    assert not each_bench.databases.path("acme").exists()


def test_the_digest_tells_what_was_asked_and_what_became_of_it(each_bench: EngineBench) -> None:
    with each_bench.store.read() as tx:
        before = state_digest(tx)
    each_bench.run("SELECT 1")
    with each_bench.store.read() as tx:
        assert state_digest(tx) != before
