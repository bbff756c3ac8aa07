"""What can be done with runs of agents: the service's Python API.

    desk = Desk.of(context)
    with context.store.write() as tx:
        desk.start(tx, "acme", "r-1", agent="sql-analyst", user="u-17")
        desk.use_tokens(tx, "acme", "r-1", Tokens(provider="in_house", model="m-70b", input=3100, output=420))
        desk.complete(tx, "acme", "r-1")
    context.wake()

Every method takes the caller's transaction, in which the change and its event are one. A run goes
running -> completed | failed, and nothing is added to one that has ended. Repeating a call is safe: a step by
its `key`, the others by what they do. What a run's end says of its steps is the sum of what was recorded.
All but `start` raise `NotFound` for a run that there is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from sqlalchemy import Connection, delete, insert, select, update

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.agent import (
    AgentRunCompleted,
    AgentRunFailed,
    AgentRunStarted,
    AgentTokensUsed,
    AgentToolCalled,
)
from trunkline.catalogue.events.audit_view import Outcome
from trunkline.catalogue.names import TENANT_PATTERN
from trunkline.client.outbox import Outbox
from trunkline.codec.identity import derive_id
from trunkline.errors import InvalidInput, NotFound, TrunklineError
from trunkline.services.ai.tables import RUN, STEP
from trunkline.services.app import Context
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.kit.ending.ends import from_us, to_us
from trunkline.services.kit.inserting import insert_new

STEPS_MAX: Final = 10_000
"""Steps of one run: an agent that does not come to an end is stopped here."""

KEY_CHARS_MAX: Final = 256
_UNNAMED: Final = "#"
"""Begins the keys of steps that were given none."""

_R: Final = RUN.c
_S: Final = STEP.c


class RunState(StrEnum):
    """What a run may be."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class StepKind(StrEnum):
    """What a step is."""

    TOOL = "tool"
    TOKENS = "tokens"


class RunRefused(TrunklineError):  # noqa: N818 - named for what happened
    """The run is not in a state in which this can be done, or is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is; the counts are the sums of its steps."""

    run_id: str
    agent_id: str
    user_id: str
    session_id: str | None
    state: RunState
    started_at: datetime
    ended_at: datetime | None
    steps: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    error_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What calls of one language model used; `cached` is the part of `input` that came from a cache."""

    provider: str
    model: str
    input: int
    output: int
    cached: int = 0
    calls: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A use of a tool; `query_id` where it ran a query."""

    tool: str
    outcome: Outcome
    duration_ms: int
    query_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Records runs. Stateless, thread-safe."""

    outbox: Outbox
    wall: Callable[[], datetime]

    @classmethod
    def of(cls, context: Context) -> Self:
        """The desk of the running service, or of a command on its store."""
        assert context.outbox is not None, "ai-service publishes"
        return cls(outbox=context.outbox, wall=context.wall)

    def start(
        self, tx: Connection, tenant: str, run_id: str, *, agent: str, user: str, session: str | None = None
    ) -> Run:
        """An agent begins to work. Raises `TenantEnded`, and `RunRefused` for an id that another run has."""
        if not TENANT_PATTERN.fullmatch(tenant):
            raise InvalidInput(f"tenant {tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'")
        require_not_ended(tx, tenant)
        row = {
            "tenant": tenant,
            "run_id": run_id,
            "agent_id": agent,
            "user_id": user,
            "session_id": session,
            "state": RunState.RUNNING,
            "started_us": to_us(self.wall()),
            **dict.fromkeys(("steps", "tool_calls", "input_tokens", "output_tokens"), 0),
        }
        if not insert_new(tx, RUN, row):
            there = get(tx, tenant, run_id)
            if (there.agent_id, there.user_id, there.session_id) != (agent, user, session):
                raise RunRefused(f"run {run_id} of tenant {tenant} is another one; choose a new id")
            return there
        event = AgentRunStarted(run_id=run_id, agent_id=agent, user_id=user, session_id=session)
        self._tell(tx, tenant, run_id, "started", event)
        return get(tx, tenant, run_id)

    def call_tool(
        self, tx: Connection, tenant: str, run_id: str, call: ToolCall, *, key: str | None = None
    ) -> Run:
        """The agent used a tool. Raises `RunRefused` for a run that is not running."""
        event = AgentToolCalled(
            run_id=run_id,
            agent_id=get(tx, tenant, run_id).agent_id,
            tool=call.tool,
            outcome=call.outcome,
            duration_ms=call.duration_ms,
            query_id=call.query_id,
        )
        columns = {
            "kind": StepKind.TOOL,
            "tool": call.tool,
            "outcome": call.outcome,
            "duration_ms": call.duration_ms,
            "query_id": call.query_id,
        }
        return self._step(tx, tenant, run_id, columns, event, key=key, tool_calls=1)

    def use_tokens(
        self, tx: Connection, tenant: str, run_id: str, used: Tokens, *, key: str | None = None
    ) -> Run:
        """The agent called a language model. Raises `RunRefused` for a run that is not running."""
        if used.cached > used.input:
            raise InvalidInput(f"{used.cached} cached tokens are more than the {used.input} of the input")
        event = AgentTokensUsed(
            run_id=run_id,
            agent_id=get(tx, tenant, run_id).agent_id,
            provider=used.provider,
            model=used.model,
            input_tokens=used.input,
            output_tokens=used.output,
            cached_input_tokens=used.cached,
            calls=used.calls,
        )
        columns = {
            "kind": StepKind.TOKENS,
            "provider": used.provider,
            "model": used.model,
            "input_tokens": used.input,
            "output_tokens": used.output,
            "cached_input_tokens": used.cached,
            "calls": used.calls,
        }
        sums = {"input_tokens": used.input, "output_tokens": used.output}
        return self._step(tx, tenant, run_id, columns, event, key=key, **sums)

    def complete(self, tx: Connection, tenant: str, run_id: str) -> Run:
        """The run ended with an answer. Raises `RunRefused` for one that failed."""
        run = self._ending(tx, tenant, run_id, RunState.COMPLETED)
        if run.state is RunState.COMPLETED:
            return run
        event = AgentRunCompleted(
            run_id=run_id,
            agent_id=run.agent_id,
            user_id=run.user_id,
            duration_ms=self._duration_ms(run),
            steps=run.steps,
            tool_calls=run.tool_calls,
            input_tokens=run.input_tokens,
            output_tokens=run.output_tokens,
        )
        return self._end(tx, tenant, run_id, RunState.COMPLETED, event)

    def fail(self, tx: Connection, tenant: str, run_id: str, *, error_code: str, message: str) -> Run:
        """The run ended without an answer. Raises `RunRefused` for one that completed."""
        run = self._ending(tx, tenant, run_id, RunState.FAILED)
        if run.state is RunState.FAILED:
            return run
        event = AgentRunFailed(
            run_id=run_id,
            agent_id=run.agent_id,
            user_id=run.user_id,
            error_code=error_code,
            message=message,
            duration_ms=self._duration_ms(run),
        )
        return self._end(tx, tenant, run_id, RunState.FAILED, event, error_code=error_code)

    def _step(
        self,
        tx: Connection,
        tenant: str,
        run_id: str,
        columns: dict[str, Any],
        event: Event,
        *,
        key: str | None,
        **sums: int,
    ) -> Run:
        if key is not None and (not 0 < len(key) <= KEY_CHARS_MAX or key.startswith(_UNNAMED)):
            raise InvalidInput(
                f"key {key[:80]!r}: use 1 to {KEY_CHARS_MAX} characters, of which {_UNNAMED} is not the first"
            )
        require_not_ended(tx, tenant)
        run = get(tx, tenant, run_id, lock=True)
        number = run.steps + 1
        place = {"tenant": tenant, "run_id": run_id, "step": number, "key": key or f"{_UNNAMED}{number}"}
        this = (_S.tenant == tenant, _S.run_id == run_id, _S.key == place["key"])
        there = tx.execute(select(STEP).where(*this)).mappings().one_or_none()
        if there is not None:
            if any(there[name] != value for name, value in columns.items()):
                raise RunRefused(f"run {run_id} has another step under the key {key}; choose a new one")
            return run
        if run.state is not RunState.RUNNING:
            raise RunRefused(f"run {run_id} has {run.state}; nothing can be added to it")
        if number > STEPS_MAX:
            raise RunRefused(f"run {run_id} has {STEPS_MAX} steps already; fail it")
        tx.execute(insert(STEP), {**place, "at_us": to_us(self.wall()), **columns})
        counted = {name: RUN.c[name] + more for name, more in sums.items()}
        tx.execute(update(RUN).where(*_this(tenant, run_id)).values(steps=number, **counted))
        self._tell(tx, tenant, run_id, f"step {number}", event)
        return get(tx, tenant, run_id)

    def _ending(self, tx: Connection, tenant: str, run_id: str, state: RunState) -> Run:
        require_not_ended(tx, tenant)
        run = get(tx, tenant, run_id, lock=True)
        if run.state not in (RunState.RUNNING, state):
            raise RunRefused(f"run {run_id} has {run.state} already")
        return run

    def _end(
        self,
        tx: Connection,
        tenant: str,
        run_id: str,
        state: RunState,
        event: Event,
        *,
        error_code: str | None = None,
    ) -> Run:
        ended = {"state": state, "ended_us": to_us(self.wall()), "error_code": error_code}
        tx.execute(update(RUN).where(*_this(tenant, run_id)).values(**ended))
        self._tell(tx, tenant, run_id, "ended", event)
        return get(tx, tenant, run_id)

    def _tell(self, tx: Connection, tenant: str, run_id: str, what: str, event: Event) -> None:
        """All events of a run have its id as their correlation, and ids that follow from it."""
        id_ = derive_id("agent.run", tenant, run_id, what)
        self.outbox.emit(
            tx, event, tenant=tenant, id=id_, time=self.wall(), subject=run_id, correlationid=run_id
        )

    def _duration_ms(self, run: Run) -> int:
        return max(0, (to_us(self.wall()) - to_us(run.started_at)) // 1000)


class AgentEraser:
    """The service's `services.app.Eraser`."""

    def erase(self, tx: Connection, tenant: str) -> dict[str, int]:
        """See `Eraser`."""
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
            for table in (RUN, STEP)
        }


def find(tx: Connection, tenant: str, run_id: str, *, lock: bool = False) -> Run | None:
    """The run of this id; with `lock` nobody else changes it until the transaction ends."""
    query = select(RUN).where(*_this(tenant, run_id))
    row = tx.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else run_of(row)


def get(tx: Connection, tenant: str, run_id: str, *, lock: bool = False) -> Run:
    """As `find`. Raises `NotFound` where there is none."""
    found = find(tx, tenant, run_id, lock=lock)
    if found is None:
        raise NotFound(f"tenant {tenant} has no run {run_id}")
    return found


def run_of(row: Any) -> Run:
    """A row of the table as what it stands for."""
    return Run(
        run_id=row["run_id"],
        agent_id=row["agent_id"],
        user_id=row["user_id"],
        session_id=row["session_id"],
        state=RunState(row["state"]),
        started_at=from_us(row["started_us"]),
        ended_at=None if row["ended_us"] is None else from_us(row["ended_us"]),
        steps=row["steps"],
        tool_calls=row["tool_calls"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        error_code=row["error_code"],
    )


def _this(tenant: str, run_id: str) -> tuple[Any, Any]:
    return (_R.tenant == tenant, _R.run_id == run_id)
