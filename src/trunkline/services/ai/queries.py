"""What can be asked of runs. Reads only; results are plain values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select, tuple_

from trunkline.services.ai.desk import Run, RunState, StepKind, run_of
from trunkline.services.ai.tables import RUN, STEP
from trunkline.services.kit.ending.ends import from_us

PAGE: Final = 1_000

_R: Final = RUN.c
_S: Final = STEP.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run: a tool that was used, or tokens of a language model."""

    step: int
    kind: StepKind
    at: datetime
    tool: str | None
    outcome: str | None
    duration_ms: int | None
    query_id: str | None
    provider: str | None
    model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_input_tokens: int | None
    calls: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a tenant's runs used of one language model."""

    provider: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int


def runs(
    tx: Connection,
    tenant: str,
    *,
    state: RunState | None = None,
    before: tuple[int, str] | None = None,
    limit: int = PAGE,
) -> list[Run]:
    """Runs of a tenant, the newest first; `before` is the place of the last one that is known."""
    query = select(RUN).where(_R.tenant == tenant)
    if state is not None:
        query = query.where(_R.state == state)
    if before is not None:
        query = query.where(tuple_(_R.started_us, _R.run_id) < tuple_(*before))
    order = (_R.started_us.desc(), _R.run_id.desc())
    return [run_of(row) for row in tx.execute(query.order_by(*order).limit(limit)).mappings()]


def steps(tx: Connection, tenant: str, run_id: str, *, after: int = 0, limit: int = PAGE) -> list[Step]:
    """The steps of a run behind this one, in order."""
    query = select(STEP).where(_S.tenant == tenant, _S.run_id == run_id, _S.step > after)
    names = [name for name in Step.__dataclass_fields__ if name not in ("kind", "at")]
    return [
        Step(
            kind=StepKind(row["kind"]),
            at=from_us(row["at_us"]),
            **{name: row[name] for name in names},
        )
        for row in tx.execute(query.order_by(_S.step).limit(limit)).mappings()
    ]


def usage(tx: Connection, tenant: str) -> list[Usage]:
    """What all runs of a tenant used, by language model."""
    sums = [
        func.sum(column).label(column.name)
        for column in (_S.calls, _S.input_tokens, _S.output_tokens, _S.cached_input_tokens)
    ]
    query = (
        select(_S.provider, _S.model, *sums)
        .where(_S.tenant == tenant, _S.kind == StepKind.TOKENS)
        .group_by(_S.provider, _S.model)
        .order_by(_S.provider, _S.model)
    )
    return [
        Usage(
            provider=row.provider,
            model=row.model,
            calls=int(row.calls),
            input_tokens=int(row.input_tokens),
            output_tokens=int(row.output_tokens),
            cached_input_tokens=int(row.cached_input_tokens),
        )
        for row in tx.execute(query)
    ]
