"""The HTTP API: a tenant's runs, their steps, and the tokens they used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from sqlalchemy import Connection

from trunkline.catalogue.events.audit_view import Outcome
from trunkline.services.ai import queries
from trunkline.services.ai.desk import Desk, Run, RunState, Tokens, ToolCall, get
from trunkline.services.app import Context
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Problem,
    Reading,
    caller,
    decode_cursor,
    page_of,
    reading,
)
from trunkline.services.kit.ending.ends import to_us

WRITE = "agents:write"
"""The scope of those who may record runs of their tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that begins."""

    run_id: str
    agent_id: str
    user_id: str
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToolCall:
    """A use of a tool; a repetition has the same `key`."""

    tool: str
    outcome: Outcome
    duration_ms: int
    query_id: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTokens:
    """Tokens of a language model; a repetition has the same `key`."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    calls: int = 1
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why a run has no answer."""

    error_code: str
    message: str


def routes(context: Context, desk: Desk) -> APIRouter:
    """The service's routes."""
    router = APIRouter(tags=["agents"])
    _add_reads(router)
    _add_writes(router, context, desk)
    return router


def _add_reads(router: APIRouter) -> None:
    @router.get("/runs")
    def runs(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        state: RunState | None = None,
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[Run]:
        """Runs, the newest first."""
        before = decode_cursor(cursor, tuple[int, str]) if cursor else None
        found = queries.runs(at.tx, who.tenant, state=state, before=before, limit=limit + 1)
        return page_of(found, limit, lambda one: (to_us(one.started_at), one.run_id))

    @router.get("/runs/{run_id}")
    def run(run_id: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> Run:
        """One run, and what its steps add up to."""
        return get(at.tx, who.tenant, run_id)

    @router.get("/runs/{run_id}/steps")
    def steps(
        run_id: str,
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[queries.Step]:
        """The steps of a run, in order."""
        get(at.tx, who.tenant, run_id)
        (after,) = decode_cursor(cursor, tuple[int]) if cursor else (0,)
        found = queries.steps(at.tx, who.tenant, run_id, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.step,))

    @router.get("/usage")
    def usage(who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> list[queries.Usage]:
        """Tokens by language model, over all runs."""
        return queries.usage(at.tx, who.tenant)


def _add_writes(router: APIRouter, context: Context, desk: Desk) -> None:
    @router.post("/runs", status_code=201)
    def start(body: NewRun, who: Annotated[Caller, caller]) -> Run:
        """An agent begins to work."""
        return _write(
            context,
            who,
            lambda tx: desk.start(
                tx,
                who.tenant,
                body.run_id,
                agent=body.agent_id,
                user=body.user_id,
                session=body.session_id,
            ),
        )

    @router.post("/runs/{run_id}/tools")
    def tool(run_id: str, body: NewToolCall, who: Annotated[Caller, caller]) -> Run:
        """The agent used a tool."""
        call = ToolCall(
            tool=body.tool, outcome=body.outcome, duration_ms=body.duration_ms, query_id=body.query_id
        )
        return _write(context, who, lambda tx: desk.call_tool(tx, who.tenant, run_id, call, key=body.key))

    @router.post("/runs/{run_id}/tokens")
    def tokens(run_id: str, body: NewTokens, who: Annotated[Caller, caller]) -> Run:
        """The agent called a language model."""
        used = Tokens(
            provider=body.provider,
            model=body.model,
            input=body.input_tokens,
            output=body.output_tokens,
            cached=body.cached_input_tokens,
            calls=body.calls,
        )
        return _write(context, who, lambda tx: desk.use_tokens(tx, who.tenant, run_id, used, key=body.key))

    @router.post("/runs/{run_id}/complete")
    def complete(run_id: str, who: Annotated[Caller, caller]) -> Run:
        """The run ended with an answer."""
        return _write(context, who, lambda tx: desk.complete(tx, who.tenant, run_id))

    @router.post("/runs/{run_id}/fail")
    def fail(run_id: str, body: Failed, who: Annotated[Caller, caller]) -> Run:
        """The run ended without one."""
        return _write(
            context,
            who,
            lambda tx: desk.fail(tx, who.tenant, run_id, error_code=body.error_code, message=body.message),
        )


def _write(context: Context, who: Caller, work: Callable[[Connection], Run]) -> Run:
    if WRITE not in who.scopes:
        raise Problem(403, f"this needs a token with the scope {WRITE}")
    with context.store.write() as tx:
        run = work(tx)
    context.wake()
    return run
