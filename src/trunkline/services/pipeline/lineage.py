"""Takes OpenLineage run events, in whatever order they come.

A run is where its furthest event says, and the event that ends it wins whenever it comes: a START that comes
behind it, or again, opens nothing. The topic tells a run's states in their order; what comes behind a later
state is kept with the run (when it began, what it read and wrote), and not published any more. A second,
different end is refused.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection

from trunkline.client.outbox import Outbox
from trunkline.codec.openlineage.run_event import EventType, RunEvent
from trunkline.codec.openlineage.runs import pipeline_event, root_run, run_event_id
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.kit.ending.ends import from_us, to_us
from trunkline.services.pipeline import store
from trunkline.services.pipeline.lifecycle import State, StepRefused
from trunkline.services.pipeline.runs import DATASETS_MAX
from trunkline.services.pipeline.store import Run

_STATES: Final = {
    EventType.START: State.STARTED,
    EventType.RUNNING: State.RUNNING,
    EventType.COMPLETE: State.COMPLETED,
    EventType.FAIL: State.FAILED,
    EventType.ABORT: State.ABORTED,
}
_RANK: Final = {State.STARTED: 1, State.RUNNING: 2, State.COMPLETED: 3, State.FAILED: 3, State.ABORTED: 3}


@dataclass(frozen=True, slots=True)
class Taken:
    """Where the run is now, and whether the run event was told on."""

    state: str
    published: bool


def take(tx: Connection, tenant: str, event: RunEvent, outbox: Outbox) -> Taken:
    """Apply a run event; the same one again changes nothing. Raises `StepRefused` for a second end."""
    require_not_ended(tx, tenant)
    found = store.locked(tx, tenant, event.run.run_id)
    told = _STATES.get(event.event_type)
    if found is None and told is None:
        # OTHER may come before anything else; a run that nobody has started is none yet.
        return Taken("unknown", published=False)
    _require_one_end(found, told, event)
    run = _merged(found, event, told)
    store.save(tx, tenant, run)
    if told is None or (found is not None and not _is_news(found, told)):
        return Taken(run.state, published=False)
    started = None if run.started_us is None else from_us(run.started_us)
    made = pipeline_event(event, started=started)
    assert made is not None, "every state has its event"
    id_ = run_event_id(event)
    is_new = store.remember_step(tx, tenant, run, id_, at_us=to_us(event.event_time))
    if is_new:
        outbox.emit(tx, made, tenant=tenant, id=id_, time=event.event_time, correlationid=root_run(event))
    return Taken(run.state, published=is_new)


def _require_one_end(found: Run | None, told: State | None, event: RunEvent) -> None:
    if found is None or told is None or not found.state.is_final or not told.is_final:
        return
    if found.state is not told:
        raise StepRefused(f"run {event.run.run_id} is {found.state}; it cannot also be {told}")


def _is_news(found: Run, told: State) -> bool:
    """Whether a state is further than the run is; while it runs, it may be told again and again."""
    return _RANK[told] > _RANK[found.state] or (told is found.state is State.RUNNING)


def _merged(found: Run | None, event: RunEvent, told: State | None) -> Run:
    """The run with what the event adds: nothing in it depends on the order of the events that are kept."""
    at_us = to_us(event.event_time)
    run = found or Run(
        run_id=event.run.run_id,
        namespace=event.job.namespace,
        job=event.job.name,
        state=told or State.STARTED,
        known_us=at_us,
    )
    furthest = told if told is not None and _RANK[told] > _RANK[run.state] else run.state
    made = pipeline_event(event, started=None)
    started = told is State.STARTED
    ended = told is not None and told.is_final
    said = (run.message, getattr(made, "message", None), getattr(made, "reason", None))
    return msgspec.structs.replace(
        run,
        state=furthest,
        known_us=min(run.known_us, at_us),
        started_us=min(run.started_us or at_us, at_us) if started else run.started_us,
        ended_us=min(run.ended_us or at_us, at_us) if ended else run.ended_us,
        rows_written=max(run.rows_written, getattr(made, "rows_written", 0)),
        inputs=_joined(run.inputs, [dataset.urn for dataset in event.inputs]),
        outputs=_joined(run.outputs, [dataset.urn for dataset in event.outputs]),
        # Of an end that is told twice in different words: either, but always the same one.
        message=max((text for text in said if text), default=None),
        parent_run_id=getattr(made, "parent_run_id", None) or run.parent_run_id,
    )


def _joined(known: tuple[str, ...], more: list[str]) -> tuple[str, ...]:
    return tuple(sorted({*known, *more})[:DATASETS_MAX])
