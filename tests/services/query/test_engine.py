"""A query is decided, executed, logged and told of, each with the revision that decided."""

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from trunkline.errors import InvalidInput, Unavailable
from trunkline.services.policies.policy import Policy
from trunkline.services.query import log
from trunkline.services.query.database import QUERIES_AT_ONCE, WAITING_MAX, WITHHELD
from trunkline.services.query.errors import (
    BadStatement,
    Denied,
    PoliciesUnknown,
    QueryCancelled,
    QueryFailed,
)
from trunkline.testing.consuming import eventually
from trunkline.testing.query import EMEA, EngineBench, policy

SLOW = "SELECT count(*) FROM range(100000) AS a (x), range(100000) AS b (y) WHERE x * y % 7 = 3"
PEOPLE_ONLY = 'forbid (principal, action, resource) unless { principal in Team::"people" };'


def entries(bench: EngineBench) -> list[log.Entry]:
    with bench.store.read() as tx:
        return log.entries(tx, "acme", limit=10)


def running(bench: EngineBench) -> bool:
    return any(entry.state == "running" for entry in entries(bench))


def test_a_query_is_answered_logged_and_told_of_with_its_revision(each_bench: EngineBench) -> None:
    each_bench.activate(policy("row_filter", "urn:table:hr.salary", EMEA), revision=7)
    answer = each_bench.run("SELECT count(*) AS n, max(name) FROM hr.salary")
    assert (answer.rows, answer.policy_revision) == ([(50, "person 98")], 7)
    assert [column.name for column in answer.columns] == ["n", 'max("name")']
    assert answer.tables == ("urn:table:hr.salary",)
    (submitted, first), (completed, last) = each_bench.events()
    assert (submitted, completed) == ("query.submitted.v1", "query.completed.v1")
    assert first["sql"] == "SELECT count(*) AS n, max(name) FROM hr.salary"
    assert last["query_id"] == first["query_id"] == answer.query_id
    assert (last["policy_revision"], last["tables"]) == (7, ["urn:table:hr.salary"])
    assert (last["rows_returned"], last["rows_scanned"]) == (1, 100)
    assert last["bytes_scanned"] > 0
    (entry,) = entries(each_bench)
    assert (entry.state, entry.policy_revision, entry.rows_scanned) == ("completed", 7, 100)
    assert each_bench.woken == 1


def test_a_denial_names_the_policy_and_the_revision(bench: EngineBench) -> None:
    bench.activate(policy("access", "urn:table:hr.salary", PEOPLE_ONLY, policy_id="p-salary"), revision=4)
    with pytest.raises(Denied) as denied:
        bench.run("SELECT * FROM hr.salary")
    assert str(denied.value).startswith("denied: urn:table:hr.salary by policy p-salary in revision 4: ")
    assert denied.value.exit_code == 3
    ((kind, data),) = bench.events()
    assert kind == "query.denied.v1"
    assert (data["resource"], data["policy_id"], data["policy_revision"]) == (
        "urn:table:hr.salary",
        "p-salary",
        4,
    )
    assert entries(bench)[0].state == "denied"
    assert bench.run("SELECT 1 FROM hr.salary LIMIT 1", teams=frozenset({"people"})).rows == [(1,)]


def test_a_statement_that_is_none_fails_before_any_policy_is_asked(bench: EngineBench) -> None:
    with pytest.raises(BadStatement):
        bench.run("SELEC 1")
    ((kind, data),) = bench.events()
    assert (kind, data["error_code"]) == ("query.failed.v1", "syntax_error")
    assert entries(bench)[0].error_code == "syntax_error"


def test_a_table_that_is_not_here_is_denied_to_those_who_may_not_read_it(bench: EngineBench) -> None:
    bench.activate(policy("access", "urn:table:main.orders", PEOPLE_ONLY, policy_id="p-1"), revision=5)
    with pytest.raises(Denied, match=r"urn:table:main\.orders by policy p-1 in revision 5"):
        bench.run("SELECT * FROM team JOIN orders USING (id)")
    with pytest.raises(BadStatement, match="no table orders"):
        bench.run("SELECT * FROM orders", teams=frozenset({"people"}))
    with pytest.raises(BadStatement, match=r"no table salary; there is hr\.salary"):
        bench.run("SELECT * FROM salary")


def test_what_the_engine_refuses_is_a_failed_query(bench: EngineBench) -> None:
    with pytest.raises(QueryFailed, match="missing"):
        bench.run("SELECT missing FROM team")
    assert [kind for kind, _ in bench.events()] == ["query.submitted.v1", "query.failed.v1"]
    assert bench.events()[1][1]["error_code"] == "binder_error"


def test_a_query_that_takes_too_long_is_stopped(bench: EngineBench) -> None:
    bench.values["query.timeout_ms"] = 100
    with pytest.raises(QueryFailed) as failed:
        bench.run(SLOW)
    assert failed.value.code == "timeout"
    assert entries(bench)[0].error_code == "timeout"


def test_a_running_query_is_cancelled_by_its_id_and_tenant(bench: EngineBench) -> None:
    raised: list[Exception] = []

    def run() -> None:
        try:
            bench.run(SLOW)
        except QueryCancelled as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: running(bench))
    (entry,) = entries(bench)
    assert not bench.engine.cancel("other", entry.query_id, by="u-9")
    eventually(lambda: bench.engine.cancel("acme", entry.query_id, by="u-9") or bool(raised))
    thread.join()
    assert "u-9" in str(raised[0])
    kind, data = bench.events()[-1]
    assert (kind, data["cancelled_by"]) == ("query.cancelled.v1", "u-9")
    assert not bench.engine.cancel("acme", entry.query_id, by="u-9")


def test_a_query_ends_under_the_revision_it_began_with(bench: EngineBench) -> None:
    bench.activate(policy("row_filter", "urn:table:hr.salary", EMEA), revision=1)
    answers: list[int] = []
    sql = "SELECT count(*) FROM hr.salary, range(300000) AS r (x) WHERE x * id % 7 = 3"
    thread = threading.Thread(target=lambda: answers.append(bench.run(sql).policy_revision))
    thread.start()
    eventually(lambda: running(bench))
    bench.activate(policy("access", "*", "forbid (principal, action, resource);"), revision=2)
    thread.join()
    assert answers == [1]
    assert bench.events()[-1][1]["policy_revision"] == 1
    with pytest.raises(Denied):
        bench.run("SELECT count(*) FROM hr.salary")


def test_more_rows_than_allowed_are_cut_and_said_to_be(bench: EngineBench) -> None:
    bench.values["query.rows_max"] = 7
    answer = bench.run("SELECT * FROM range(100000)")
    assert (len(answer.rows), answer.truncated) == (7, True)
    assert bench.events()[-1][1]["rows_returned"] == 7


def test_a_result_too_large_for_an_answer_fails(bench: EngineBench) -> None:
    bench.values["query.rows_max"] = 100_000
    with pytest.raises(QueryFailed) as failed:
        bench.run("SELECT repeat('x', 100000) FROM range(1000)")
    assert failed.value.code == "result_too_large"


def test_stale_policies_deny_where_any_is_enforced(bench: EngineBench) -> None:
    bench.activate(policy("row_filter", "urn:table:hr.salary", EMEA), revision=3)
    bench.activate(policy("row_filter", "urn:table:hr.salary", EMEA, mode="monitor"), tenant="watched")
    bench.stale = "nothing was heard of governance for 30 s"
    with pytest.raises(Denied) as denied:
        bench.run("SELECT 1 FROM team")
    assert denied.value.temporary
    assert denied.value.policy_id == "trunkline:stale"
    assert bench.run("SELECT 1", tenant="watched").rows == [(1,)]
    with pytest.raises(PoliciesUnknown, match="nothing was heard"):
        bench.run("SELECT 1", tenant="unknown")
    bench.stale = None
    assert bench.run("SELECT 1", tenant="unknown").rows == [(1,)]


def test_of_a_tenant_that_has_ended_nothing_is_read_and_nothing_is_kept(each_bench: EngineBench) -> None:
    with each_bench.store.write() as tx:
        tx.execute(
            text(
                "INSERT INTO ended_tenant (tenant, deletion_id, deleted_us, ended_us, dropped) "
                "VALUES ('acme', 'd-1', 1, 1, 0)"
            )
        )
    for ask in (each_bench.run, lambda sql: each_bench.engine.explain(each_bench.request(sql))):
        with pytest.raises(Denied, match="the tenant was deleted"):
            ask("SELECT 1")
    assert each_bench.events() == []
    assert entries(each_bench) == []


def test_explaining_executes_logs_and_tells_nothing(bench: EngineBench) -> None:
    bench.activate(
        policy("row_filter", "urn:table:hr.salary", EMEA, policy_id="p-emea"),
        policy("mask", "urn:column:hr.salary.secret", "md5(_)", policy_id="p-md5"),
        revision=2,
    )
    plan = bench.engine.explain(bench.request("SELECT * FROM hr.everybody"))
    assert [decision.asset for decision in plan.decisions] == [
        "urn:table:hr.everybody",
        "urn:table:hr.salary",
    ]
    assert plan.decisions[1].filters == ("p-emea",)
    assert plan.decisions[1].masks == {"secret": ("p-md5",)}
    assert "MD5" in plan.require_allowed()
    assert bench.events() == []
    assert entries(bench) == []


def test_what_a_warning_would_have_done_is_told_to_the_reader(bench: EngineBench) -> None:
    bench.activate(policy("access", "urn:table:hr.salary", PEOPLE_ONLY, mode="warn", policy_id="p-soon"))
    answer = bench.run("SELECT count(*) FROM hr.salary")
    assert [(note.policy_id, note.mode) for note in answer.warnings] == [("p-soon", "warn")]


def test_other_policies_are_compared_on_the_queries_of_the_log(bench: EngineBench) -> None:
    bench.run("SELECT count(*) FROM hr.salary")
    bench.run("SELECT count(*) FROM team")
    with pytest.raises(BadStatement):
        bench.run("DROP TABLE team")
    found = bench.engine.what_if("acme", [policy("access", "urn:table:hr.salary", PEOPLE_ONLY)], last=10)
    assert found.compared == 3
    (difference,) = found.differences
    assert difference.sql == "SELECT count(*) FROM hr.salary"
    assert (difference.now.decision, difference.then.decision) == ("allowed", "denied")


@pytest.mark.parametrize("user", ["", "u" * 257])
def test_somebody_must_ask(bench: EngineBench, user: str) -> None:
    with pytest.raises(InvalidInput, match="name a user"):
        bench.run("SELECT 1", user=user)


def test_a_statement_that_no_store_can_hold_is_refused_and_still_logged(bench: EngineBench) -> None:
    with pytest.raises(BadStatement):
        bench.run("SELECT '\0' FROM \ud800")
    with pytest.raises(BadStatement):
        bench.run("SELECT 1" + " " * 100_000)
    assert {entry.state for entry in entries(bench)} == {"failed"}


def test_a_query_waits_its_turn_and_says_so_when_that_does_not_come(bench: EngineBench) -> None:
    bench.values["query.timeout_ms"] = 400
    raised: list[Exception] = []

    def run() -> None:
        try:
            bench.run(SLOW)
        except (QueryFailed, Unavailable) as error:
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(raised) == 6
    assert bench.run("SELECT 1").rows == [(1,)]


def test_of_many_queries_of_one_tenant_most_are_sent_away_at_once(bench: EngineBench) -> None:
    """Those that wait keep threads of the API from other tenants."""
    bench.values["query.timeout_ms"] = 2_000
    at_once: list[float] = []

    def run() -> None:
        began = time.monotonic()
        try:
            bench.run(SLOW)
        except (QueryFailed, Unavailable):
            at_once.append(time.monotonic() - began)

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(seconds < 1.5 for seconds in at_once) >= 20 - QUERIES_AT_ONCE - WAITING_MAX


@pytest.mark.parametrize(
    "guard",
    [
        policy("row_filter", "urn:table:hr.salary", "CAST(secret AS INTEGER) > 0"),
        policy("mask", "urn:column:hr.salary.secret", "CAST(_ AS INTEGER)"),
    ],
    ids=lambda found: found.kind,
)
def test_an_error_of_a_policy_does_not_quote_what_it_hides(bench: EngineBench, guard: Policy) -> None:
    bench.activate(guard)
    with pytest.raises(QueryFailed) as failed:
        bench.run("SELECT * FROM hr.salary")
    assert (failed.value.code, str(failed.value)) == ("conversion_error", WITHHELD)
    assert "hidden" not in str(entries(bench)[0].reason)
    assert "hidden" not in str(bench.events())


def test_an_error_of_a_statement_without_a_guard_says_which_value(bench: EngineBench) -> None:
    bench.activate(policy("row_filter", "urn:table:hr.salary", "CAST(secret AS INTEGER) > 0"))
    with pytest.raises(QueryFailed, match="Could not convert string 'team 0'"):
        bench.run("SELECT CAST(team AS INTEGER) FROM team")
    with pytest.raises(QueryFailed, match="missing"):
        bench.run("SELECT missing FROM hr.salary")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[TIMESTAMPTZ '2020-01-01']", "['2020-01-01 00:00:00+00']"),
        ("{'at': TIMESTAMPTZ '2020-01-01'}", "{'at': '2020-01-01 00:00:00+00'}"),
    ],
)
def test_values_with_a_time_zone_inside_of_others_are_text(
    bench: EngineBench, value: str, shown: str
) -> None:
    assert bench.run(f"SELECT {value}").rows == [(shown,)]


def test_a_number_beyond_all_numbers_is_refused(bench: EngineBench) -> None:
    with pytest.raises(BadStatement, match="too large"):
        bench.run("SELECT 1e400")


def test_a_value_that_python_has_no_room_for_fails_the_query(bench: EngineBench) -> None:
    with pytest.raises(QueryFailed, match="cast it to VARCHAR") as failed:
        bench.run("SELECT INTERVAL 100000000 YEAR AS i FROM hr.salary")
    assert failed.value.code == "value_out_of_range"
    assert entries(bench)[0].state == "failed"


def test_a_failure_names_the_tables_and_what_asked(bench: EngineBench) -> None:
    """Data quality counts failures of a table, and none of its own checks."""
    with pytest.raises(QueryFailed):
        bench.engine.run(replace(bench.request("SELECT CAST(secret AS INTEGER) FROM hr.salary"), origin="dq"))
    kind, data = bench.events()[-1]
    assert (kind, data["tables"], data["origin"]) == ("query.failed.v1", ["urn:table:hr.salary"], "dq")


@pytest.mark.parametrize("tenant", ["../../outside", "acme/../other", ""])
def test_a_tenant_that_cannot_be_leaves_nothing_behind(bench: EngineBench, tenant: str) -> None:
    with pytest.raises(InvalidInput, match="use up to 64 letters"):
        bench.run("SELECT 1", tenant=tenant)
    with pytest.raises(InvalidInput, match="use up to 64 letters"):
        bench.engine.what_if(tenant, [], last=1)
    assert bench.databases.tenants() == ["acme"]
    assert not bench.databases.path(tenant).exists()
