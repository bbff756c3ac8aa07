"""Runs of agents: steps are counted once, and the end repeats their sums."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.codec import new_id
from trunkline.errors import InvalidInput, NotFound
from trunkline.services.ai import desk as desk_module
from trunkline.services.ai import queries
from trunkline.services.ai.desk import AgentEraser, RunRefused, RunState, Tokens, ToolCall
from trunkline.services.ai.state import state_digest
from trunkline.services.ai.tables import METADATA
from trunkline.services.kit.ending import End, TenantEnded
from trunkline.services.kit.ending.ends import Erasure, end_tenant
from trunkline.testing.offices import at_once, differences

TOKENS = Tokens(provider="in_house", model="m-70b", input=3100, output=420, cached=1024)
CALL = ToolCall(tool="run_query", outcome="success", duration_ms=140, query_id="q-1")


def start(office: Any, run: str = "r-1", *, tenant: str = "acme") -> Any:
    return office.do(lambda tx, desk: desk.start(tx, tenant, run, agent="sql-analyst", user="u-17"))


def use(office: Any, used: Tokens = TOKENS, *, run: str = "r-1", key: str | None = None) -> Any:
    return office.do(lambda tx, desk: desk.use_tokens(tx, "acme", run, used, key=key))


def call(office: Any, *, run: str = "r-1", key: str | None = None) -> Any:
    return office.do(lambda tx, desk: desk.call_tool(tx, "acme", run, CALL, key=key))


def complete(office: Any, run: str = "r-1") -> Any:
    return office.do(lambda tx, desk: desk.complete(tx, "acme", run))


def test_of_many_that_start_the_same_run_at_once_one_tells(office: Any) -> None:
    """On PostgreSQL they run side by side, and all see at first that there is no such run."""
    assert {at.run_id for at in at_once(lambda _: start(office))} == {"r-1"}
    assert [event.type for event in office.told()] == ["agent.run_started.v1"]


@pytest.mark.parametrize("key", ["#2", "", "k" * 257])
def test_a_key_that_a_step_without_one_could_have_is_refused(office: Any, key: str) -> None:
    start(office)
    with pytest.raises(InvalidInput, match="use 1 to 256 characters"):
        use(office, key=key)
    assert use(office).steps == 1
    assert use(office).steps == 2


def test_the_end_of_a_run_repeats_the_sums_of_its_steps(office: Any) -> None:
    start(office)
    call(office)
    use(office)
    use(office)
    office.clock.pass_(timedelta(seconds=8))
    complete(office)
    *steps, ended = office.told()
    assert [event.type for event in steps] == [
        "agent.run_started.v1",
        "agent.tool_called.v1",
        "agent.tokens_used.v1",
        "agent.tokens_used.v1",
    ]
    data = ended.data
    assert (data.steps, data.tool_calls, data.duration_ms) == (3, 1, 8_000)
    assert (data.input_tokens, data.output_tokens) == (6_200, 840)
    assert {event.correlationid for event in office.told()} == {"r-1"}
    with office.store.read() as tx:
        (usage,) = queries.usage(tx, "acme")
    assert (usage.calls, usage.input_tokens, usage.cached_input_tokens) == (2, 6_200, 2_048)


def test_a_step_that_is_repeated_under_its_key_is_counted_once(office: Any) -> None:
    start(office)
    for _ in range(3):
        use(office, key="call-1")
    with pytest.raises(RunRefused, match="another step under the key call-1"):
        call(office, key="call-1")
    assert complete(office).steps == 1
    use(office, key="call-1")
    assert len(office.told()) == 3


def test_starting_and_ending_again_changes_nothing(office: Any) -> None:
    first = start(office)
    assert start(office) == first
    assert complete(office) == complete(office)
    assert len(office.told()) == 2
    with pytest.raises(RunRefused, match="is another one"):
        office.do(lambda tx, desk: desk.start(tx, "acme", "r-1", agent="else", user="u-17"))


def test_nothing_is_added_to_a_run_that_has_ended(office: Any) -> None:
    start(office)
    office.do(lambda tx, desk: desk.fail(tx, "acme", "r-1", error_code="model_away", message="no answer"))
    for refused in (use, call, complete):
        with pytest.raises(RunRefused, match="has failed"):
            refused(office)
    again = office.do(lambda tx, desk: desk.fail(tx, "acme", "r-1", error_code="x", message=""))
    assert (again.state, again.error_code) == (RunState.FAILED, "model_away")
    assert [event.type for event in office.told()] == ["agent.run_started.v1", "agent.run_failed.v1"]


def test_a_run_that_is_not_there_is_refused_in_one_line(office: Any) -> None:
    for refused in (use, call, complete):
        with pytest.raises(NotFound, match="tenant acme has no run r-1"):
            refused(office)
    start(office, tenant="globex")
    with pytest.raises(NotFound, match="tenant acme has no run r-1"):
        complete(office)


def test_more_cached_tokens_than_there_are_is_refused(office: Any) -> None:
    start(office)
    with pytest.raises(InvalidInput, match="more than the 10 of the input"):
        use(office, Tokens(provider="p", model="m", input=10, output=1, cached=11))


def test_a_run_without_an_end_is_stopped(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "STEPS_MAX", 2)
    start(office)
    call(office)
    call(office)
    with pytest.raises(RunRefused, match="has 2 steps already; fail it"):
        call(office)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    used=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.booleans()), max_size=4),
)
def test_whatever_is_used_and_repeated_the_sums_are_exact(office: Any, used: Any) -> None:
    run = new_id()
    start(office, run)
    for number, (given_in, given_out, twice) in enumerate(used):
        tokens = Tokens(provider="p", model="m", input=given_in, output=given_out)
        for _ in range(2 if twice else 1):
            use(office, tokens, run=run, key=str(number))
    ended = complete(office, run)
    assert (ended.input_tokens, ended.output_tokens) == (
        sum(one[0] for one in used),
        sum(one[1] for one in used),
    )
    assert ended.steps == len(used)


def test_the_end_of_a_tenant_leaves_nothing_and_lets_nothing_in(office: Any) -> None:
    start(office)
    use(office)
    start(office, tenant="globex")
    with office.store.write() as tx:
        end = End(tenant="acme", deletion_id="d", deleted_at=office.clock.now)
        assert end_tenant(tx, end, Erasure(office.store, AgentEraser(), publishes=True), now=office.clock.now)
    with office.store.read() as tx:
        assert queries.runs(tx, "acme") == []
        assert queries.usage(tx, "acme") == []
        assert len(queries.runs(tx, "globex")) == 1
    for refused in (start, call):
        with pytest.raises((TenantEnded, NotFound)):
            refused(office)
    assert office.told("acme") == []


def test_the_same_runs_come_to_the_same_state_whenever_they_were(office: Any) -> None:
    start(office)
    with office.store.read() as tx:
        before = state_digest(tx)
    use(office)
    with office.store.read() as tx:
        assert state_digest(tx) != before


def test_the_tables_are_those_that_the_migrations_create(office: Any) -> None:
    with office.store.read() as tx:
        assert differences(tx, METADATA) == []
