"""Reads and writes runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.errors import NotFound
from trunkline.services.kit.ending.ends import from_us
from trunkline.services.pipeline.lifecycle import State
from trunkline.services.pipeline.tables import PIPELINE_RUN, PIPELINE_STEP

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:run, :seed))")
_SEED: Final = 0x70_69_70_65
"""Keeps these advisory locks apart from others; "pipe" in ASCII."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is. Times are microseconds since 1970; None for what nobody has told."""

    run_id: str
    namespace: str
    job: str
    state: State
    attempt: int = 1
    known_us: int
    started_us: int | None = None
    ended_us: int | None = None
    progress_percent: int | None = None
    rows_written: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    message: str | None = None
    parent_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run for people and programs."""

    run_id: str
    namespace: str
    job: str
    state: str
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    progress_percent: int | None
    rows_written: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    message: str | None
    parent_run_id: str | None


@dataclass(frozen=True, slots=True)
class StepView:
    """One step that was published, under the event's id."""

    id: str
    at: datetime
    attempt: int
    state: str


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run and its steps, the oldest first."""

    run: RunView
    steps: tuple[StepView, ...]


def locked(tx: Connection, tenant: str, run_id: str) -> Run | None:
    """The run, which is nobody else's until the transaction ends; None where there is none yet."""
    if tx.dialect.name == "postgresql":
        # There may be no row to lock yet; two that begin the same run go one after the other all the same.
        tx.execute(_LOCK, {"run": f"{tenant}\x1f{run_id}", "seed": _SEED})
    return get(tx, tenant, run_id)


def get(tx: Connection, tenant: str, run_id: str) -> Run | None:
    """The run as it is in this transaction."""
    table = PIPELINE_RUN.c
    query = select(PIPELINE_RUN).where(table.tenant == tenant, table.run_id == run_id)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else _run(row)


def save(tx: Connection, tenant: str, run: Run) -> None:
    """Insert or replace a run that is locked."""
    row = msgspec.structs.asdict(run) | {
        "tenant": tenant,
        "state": str(run.state),
        "inputs": msgspec.json.encode(run.inputs).decode(),
        "outputs": msgspec.json.encode(run.outputs).decode(),
    }
    statement = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(PIPELINE_RUN)
    changed = {name: new for name, new in statement.excluded.items() if name not in ("tenant", "run_id")}
    tx.execute(statement.on_conflict_do_update(index_elements=["tenant", "run_id"], set_=changed), row)


def remember_step(tx: Connection, tenant: str, run: Run, event_id: str, *, at_us: int) -> bool:
    """Add what is to be published of a run that is locked; False if it was published before."""
    table = PIPELINE_STEP.c
    ours = (table.tenant == tenant, table.run_id == run.run_id)
    if tx.execute(select(table.id).where(*ours, table.id == event_id)).first() is not None:
        return False
    number = tx.execute(select(func.count()).select_from(PIPELINE_STEP).where(*ours)).scalar_one() + 1
    tx.execute(
        insert(PIPELINE_STEP),
        {
            "tenant": tenant,
            "run_id": run.run_id,
            "number": number,
            "id": event_id,
            "at_us": at_us,
            "attempt": run.attempt,
            "state": str(run.state),
        },
    )
    return True


def runs(
    tx: Connection,
    tenant: str,
    *,
    limit: int,
    job: str | None = None,
    state: State | None = None,
    after: tuple[int, str] | None = None,
) -> list[Run]:
    """The tenant's runs, newest first, one more than `limit` if there are more.

    `after` is `known_us` and id of the last one seen.
    """
    table = PIPELINE_RUN.c
    query = select(PIPELINE_RUN).where(table.tenant == tenant)
    if job is not None:
        query = query.where(table.job == job)
    if state is not None:
        query = query.where(table.state == str(state))
    if after is not None:
        query = query.where(tuple_(table.known_us, table.run_id) < after)
    query = query.order_by(table.known_us.desc(), table.run_id.desc()).limit(limit + 1)
    return [_run(row) for row in tx.execute(query).mappings()]


def history(tx: Connection, tenant: str, run_id: str) -> RunHistory:
    """A run and its steps. Raises `NotFound` for one that there is not."""
    run = get(tx, tenant, run_id)
    if run is None:
        raise NotFound(f"run {run_id}: {tenant} has none; `trunkline pipeline list` shows its runs")
    table = PIPELINE_STEP.c
    query = (
        select(table.id, table.at_us, table.attempt, table.state)
        .where(table.tenant == tenant, table.run_id == run_id)
        .order_by(table.number)
    )
    steps = tuple(
        StepView(id_, from_us(at_us), attempt, state) for id_, at_us, attempt, state in tx.execute(query)
    )
    return RunHistory(view(run), steps)


def view(run: Run) -> RunView:
    """The run as it is shown."""
    return RunView(
        run_id=run.run_id,
        namespace=run.namespace,
        job=run.job,
        state=str(run.state),
        attempt=run.attempt,
        started_at=None if run.started_us is None else from_us(run.started_us),
        ended_at=None if run.ended_us is None else from_us(run.ended_us),
        progress_percent=run.progress_percent,
        rows_written=run.rows_written,
        inputs=run.inputs,
        outputs=run.outputs,
        message=run.message,
        parent_run_id=run.parent_run_id,
    )


def _run(row: RowMapping) -> Run:
    values = {name: row[name] for name in Run.__struct_fields__}
    return Run(
        **values
        | {
            "state": State(row["state"]),
            "inputs": msgspec.json.decode(row["inputs"], type=tuple[str, ...]),
            "outputs": msgspec.json.decode(row["outputs"], type=tuple[str, ...]),
        }
    )
