"""The service's HTTP API."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from trunkline.codec.openlineage.run_event import RUN_EVENT_BYTES_MAX, decode_run_event
from trunkline.services.app import Context
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Reading,
    caller,
    decode_cursor,
    encode_cursor,
    reading,
    scoped,
)
from trunkline.services.kit.api.content import JSON_CONTENT, content_up_to
from trunkline.services.kit.api.pages import PAGE_DEFAULT
from trunkline.services.pipeline import store
from trunkline.services.pipeline.lifecycle import State
from trunkline.services.pipeline.lineage import Taken, take
from trunkline.services.pipeline.runs import DATASETS_MAX, Desk
from trunkline.services.pipeline.store import Run, RunHistory, RunView

WRITE: Final = "pipelines:write"
"""The scope of those who may move runs of their tenant."""

Writer = Annotated[Caller, scoped(WRITE)]


class StartBody(BaseModel):
    """A run that begins."""

    job: str = Field(min_length=1, max_length=2_048)
    namespace: str = Field(min_length=1, max_length=2_048)
    run_id: str | None = Field(default=None, min_length=1, max_length=256)
    inputs: list[str] = Field(default=[], max_length=DATASETS_MAX)
    outputs: list[str] = Field(default=[], max_length=DATASETS_MAX)
    trigger: str = "manual"
    scheduled_for: datetime | None = None
    parent_run_id: str | None = None


class ProgressBody(BaseModel):
    """How far a run is."""

    percent: int | None = Field(default=None, ge=0, le=100)
    rows_written: int = Field(default=0, ge=0)


class CompleteBody(BaseModel):
    """What a run has done."""

    rows_read: int = Field(default=0, ge=0)
    rows_written: int = Field(default=0, ge=0)
    bytes_written: int = Field(default=0, ge=0)


class FailBody(BaseModel):
    """What went wrong."""

    error_code: str = "run_failed"
    message: str = Field(max_length=2_000)


class AbortBody(BaseModel):
    """Why it was stopped."""

    reason: str | None = Field(default=None, max_length=2_000)


def routes(context: Context) -> APIRouter:
    """Runs and their steps; and the door for OpenLineage."""
    router = APIRouter()
    _steps(router, context)
    _readings(router)

    @router.post(
        "/lineage",
        summary="Take an OpenLineage run event",
        status_code=HTTPStatus.CREATED,
        openapi_extra=JSON_CONTENT,
    )
    def lineage(
        who: Writer,
        content: Annotated[bytes, Depends(content_up_to(RUN_EVENT_BYTES_MAX))],
    ) -> Taken:
        assert context.outbox is not None
        event = decode_run_event(content)
        with context.store.write() as tx:
            taken = take(tx, who.tenant, event, context.outbox)
        context.wake()
        return taken

    return router


def _steps(router: APIRouter, context: Context) -> None:
    desk = Desk.of(context)

    def shown(run: Run) -> RunView:
        context.wake()
        return store.view(run)

    @router.post("/runs", summary="Start a run, or another attempt of one that failed", status_code=201)
    def start(body: StartBody, who: Writer) -> RunView:
        with context.store.write() as tx:
            run = desk.start(tx, who.tenant, **body.model_dump())
        return shown(run)

    @router.post("/runs/{run_id}/progress", summary="Tell how far a run is")
    def progress(run_id: str, body: ProgressBody, who: Writer) -> RunView:
        with context.store.write() as tx:
            run = desk.progress(tx, who.tenant, run_id, **body.model_dump())
        return shown(run)

    @router.post("/runs/{run_id}/complete", summary="End a run well")
    def complete(run_id: str, body: CompleteBody, who: Writer) -> RunView:
        with context.store.write() as tx:
            run = desk.complete(tx, who.tenant, run_id, **body.model_dump())
        return shown(run)

    @router.post("/runs/{run_id}/fail", summary="End a run's attempt with an error")
    def fail(run_id: str, body: FailBody, who: Writer) -> RunView:
        with context.store.write() as tx:
            run = desk.fail(tx, who.tenant, run_id, **body.model_dump())
        return shown(run)

    @router.post("/runs/{run_id}/abort", summary="Stop a run for good")
    def abort(run_id: str, body: AbortBody, who: Writer) -> RunView:
        with context.store.write() as tx:
            run = desk.abort(tx, who.tenant, run_id, actor=who.subject, reason=body.reason)
        return shown(run)


def _readings(router: APIRouter) -> None:
    @router.get("/runs", summary="Runs, newest first")
    def runs(
        *,
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        job: str | None = None,
        state: State | None = None,
        limit: PageSize = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Page[RunView]:
        last = None if cursor is None else decode_cursor(cursor, tuple[int, str])
        found = store.runs(at.tx, who.tenant, limit=limit, job=job, state=state, after=last)
        items = found[:limit]
        more = encode_cursor([items[-1].known_us, items[-1].run_id]) if len(found) > limit else None
        return Page([store.view(run) for run in items], more)

    @router.get("/runs/{run_id}", summary="A run and its steps")
    def run(run_id: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> RunHistory:
        return store.history(at.tx, who.tenant, run_id)
