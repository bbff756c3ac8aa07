"""Run events as events of the pipeline topic.

| run event | event |
|---|---|
| START | `pipeline.run_started.v1` |
| RUNNING | `pipeline.run_running.v1` |
| COMPLETE | `pipeline.run_completed.v1` |
| FAIL | `pipeline.run_failed.v1` |
| ABORT | `pipeline.run_aborted.v1` |
| OTHER | none: it says nothing about where the run is |
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.fields import COUNT_MAX
from trunkline.catalogue.events.pipeline import (
    PipelineRunAborted,
    PipelineRunCompleted,
    PipelineRunFailed,
    PipelineRunRunning,
    PipelineRunStarted,
)
from trunkline.codec.identity import derive_id
from trunkline.codec.openlineage.run_event import Dataset, EventType, RunEvent

FACETS_BYTES_MAX: Final = 128 * 1024
"""What facets may take of a message; larger ones are left out, those of datasets first."""

REASON_LENGTH_MAX: Final = 2_000
NAME_LENGTH_MAX: Final = 256
UNKNOWN: Final = "unknown"
TRIGGER: Final = "openlineage"
SCHEDULED: Final = "schedule"

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def run_event_id(event: RunEvent) -> str:
    """The id of what a run event becomes: once a run begins and ends, and it runs at many times."""
    when = event.event_time.isoformat() if event.event_type is EventType.RUNNING else ""
    return derive_id("openlineage-run", event.run.run_id, event.event_type, when)


def pipeline_event(event: RunEvent, *, started: datetime | None) -> Event | None:
    """What it says on the pipeline topic. `started` is when the run began, as far as that is known."""
    run_id, job, namespace = event.run.run_id, event.job.name, event.job.namespace
    took_ms = 0 if started is None else max(0, round((event.event_time - started).total_seconds() * 1000))
    inputs, outputs = _urns(event.inputs), _urns(event.outputs)
    facets = _facets(event)
    match event.event_type:
        case EventType.START:
            scheduled = _scheduled(event)
            return PipelineRunStarted(
                run_id=run_id,
                job=job,
                namespace=namespace,
                inputs=inputs,
                outputs=outputs,
                trigger=TRIGGER if scheduled is None else SCHEDULED,
                scheduled_for=scheduled,
                parent_run_id=_parent(event),
                facets=facets,
            )
        case EventType.RUNNING:
            return PipelineRunRunning(
                run_id=run_id,
                job=job,
                namespace=namespace,
                rows_written=_statistic(event.outputs, "outputStatistics", "rowCount"),
                facets=facets,
            )
        case EventType.COMPLETE:
            return PipelineRunCompleted(
                run_id=run_id,
                job=job,
                namespace=namespace,
                duration_ms=took_ms,
                inputs=inputs,
                outputs=outputs,
                rows_read=_statistic(event.inputs, "inputStatistics", "rowCount"),
                rows_written=_statistic(event.outputs, "outputStatistics", "rowCount"),
                bytes_written=_statistic(event.outputs, "outputStatistics", "size"),
                facets=facets,
            )
        case EventType.FAIL:
            return PipelineRunFailed(
                run_id=run_id,
                job=job,
                namespace=namespace,
                duration_ms=took_ms,
                error_code="run_failed",
                message=_message(event),
                facets=facets,
            )
        case EventType.ABORT:
            return PipelineRunAborted(
                run_id=run_id,
                job=job,
                namespace=namespace,
                duration_ms=took_ms,
                actor_id=UNKNOWN,
                reason=_message(event),
                facets=facets,
            )
        case EventType.OTHER:
            return None


def _urns(datasets: Iterable[Dataset]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(dataset.urn for dataset in datasets))


def _statistic(datasets: Iterable[Dataset], facet: str, name: str) -> int:
    """The sum over the datasets; where a facet is there twice, one of them counts."""
    total = 0
    for dataset in datasets:
        found = next((one.get(name) for one in dataset.facet(facet)), None)
        if isinstance(found, int) and not isinstance(found, bool) and found > 0:
            total += found
    return min(total, COUNT_MAX)


def _message(event: RunEvent) -> str:
    facet = event.run.facets.get("errorMessage")
    text = facet.get("message") if isinstance(facet, dict) else None
    shown = " ".join(str(text or f"the run ended with {event.event_type}").split())
    return shown[:REASON_LENGTH_MAX]


def _scheduled(event: RunEvent) -> datetime | None:
    facet = event.run.facets.get("nominalTime")
    try:
        found = msgspec.convert(facet, _NominalTime).nominal_start_time
    except msgspec.ValidationError:
        return None
    return found if found.tzinfo else None


class _NominalTime(msgspec.Struct, rename="camel"):
    nominal_start_time: datetime


def root_run(event: RunEvent) -> str:
    """The run that this one belongs to in the end: what all of a job's runs have in common."""
    facet = event.run.facets.get("parent")
    root = facet.get("root") if isinstance(facet, dict) else None
    run = root.get("run") if isinstance(root, dict) else None
    found = run.get("runId") if isinstance(run, dict) else None
    named = isinstance(found, str) and 0 < len(found) <= NAME_LENGTH_MAX
    return str(found) if named else _parent(event) or event.run.run_id


def _parent(event: RunEvent) -> str | None:
    facet = event.run.facets.get("parent")
    run = facet.get("run") if isinstance(facet, dict) else None
    found = run.get("runId") if isinstance(run, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= NAME_LENGTH_MAX else None


def _facets(event: RunEvent) -> dict[str, Any]:
    """The facets without what only their producer needs; less of them rather than too many, or too deep."""
    try:
        return _bounded_facets(event)
    except RecursionError:
        return {}


def _bounded_facets(event: RunEvent) -> dict[str, Any]:
    parts: dict[str, Any] = {"run": _plain(event.run.facets), "job": _plain(event.job.facets)}
    datasets = {
        side: [
            {"namespace": dataset.namespace, "name": dataset.name, "facets": _plain(dataset.facets)}
            for dataset in of_it
        ]
        for side, of_it in (("inputs", event.inputs), ("outputs", event.outputs))
        if of_it
    }
    for tried in (parts | datasets, parts):
        if len(_encode(tried)) <= FACETS_BYTES_MAX:
            return {name: value for name, value in tried.items() if value}
    return {}


_PRIVATE: Final = re.compile(r"_(producer|schemaURL)")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items() if not _PRIVATE.fullmatch(name)}
    return [_plain(one) for one in value] if isinstance(value, list) else value
