"""Runs of data pipelines: what Pipeline Service publishes.

A run is told in OpenLineage's terms (run, job, inputs, outputs), and follows its states: started, perhaps
running, then exactly one of completed, failed and aborted.
"""

from msgspec import field

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    DurationMs,
    Identifier,
    Instant,
    JsonObject,
    LongName,
    Percent,
    Positive,
    Reason,
    Word,
)

TOPIC = "pipeline.job.events"

_RUN = AuditRule(resource="pipeline_run", resource_id="run_id")
_EXAMPLE = {"run_id": "7f0c1a52-0000-7000-8000-000000000001", "job": "dbt.orders", "namespace": "warehouse"}


@event(
    "pipeline.run_started.v1",
    topic=TOPIC,
    audit=_RUN,
    example=_EXAMPLE
    | {
        "inputs": ["warehouse.raw_orders"],
        "trigger": "schedule",
        "scheduled_for": "2026-11-23T06:00:00Z",
        "parent_run_id": "7f0c1a52-0000-7000-8000-000000000000",
    },
)
class PipelineRunStarted(Event, frozen=True, kw_only=True):
    """A run of a job began, or began again after a failure: `attempt` counts from 1.

    `inputs` and `outputs` are assets, by URN or by a name that has one.
    """

    run_id: Identifier
    job: LongName
    namespace: LongName
    inputs: tuple[LongName, ...] = ()
    outputs: tuple[LongName, ...] = ()
    trigger: Word = "manual"
    scheduled_for: Instant | None = None
    parent_run_id: Identifier | None = None
    attempt: Positive = 1
    facets: JsonObject = field(default_factory=dict)


@event(
    "pipeline.run_running.v1",
    topic=TOPIC,
    audit=_RUN,
    example=_EXAMPLE | {"progress_percent": 40, "rows_written": 1200},
)
class PipelineRunRunning(Event, frozen=True, kw_only=True):
    """A run is under way; how far, where the job can tell."""

    run_id: Identifier
    job: LongName
    namespace: LongName
    progress_percent: Percent | None = None
    rows_written: Count = 0
    facets: JsonObject = field(default_factory=dict)


@event(
    "pipeline.run_completed.v1",
    topic=TOPIC,
    audit=_RUN,
    example=_EXAMPLE
    | {
        "duration_ms": 61000,
        "inputs": ["warehouse.raw_orders"],
        "outputs": ["warehouse.orders"],
        "rows_read": 3000,
        "rows_written": 2990,
        "bytes_written": 180224,
    },
)
class PipelineRunCompleted(Event, frozen=True, kw_only=True):
    """A run ended well, having read its inputs and written its outputs."""

    run_id: Identifier
    job: LongName
    namespace: LongName
    duration_ms: DurationMs
    inputs: tuple[LongName, ...] = ()
    outputs: tuple[LongName, ...] = ()
    rows_read: Count = 0
    rows_written: Count = 0
    bytes_written: Count = 0
    facets: JsonObject = field(default_factory=dict)


@event(
    "pipeline.run_failed.v1",
    topic=TOPIC,
    audit=AuditRule(resource="pipeline_run", resource_id="run_id", outcome="failure"),
    example=_EXAMPLE
    | {"duration_ms": 900, "error_code": "source_unreachable", "message": "connection refused", "attempt": 2},
)
class PipelineRunFailed(Event, frozen=True, kw_only=True):
    """A run ended with an error; its outputs may be incomplete. `attempt` counts from 1."""

    run_id: Identifier
    job: LongName
    namespace: LongName
    duration_ms: DurationMs
    error_code: Word
    message: Reason
    attempt: Positive = 1
    facets: JsonObject = field(default_factory=dict)


@event(
    "pipeline.run_aborted.v1",
    topic=TOPIC,
    audit=AuditRule(resource="pipeline_run", resource_id="run_id", actor_id="actor_id"),
    example=_EXAMPLE | {"duration_ms": 5000, "actor_id": "u-17", "reason": "wrong parameters"},
)
class PipelineRunAborted(Event, frozen=True, kw_only=True):
    """Somebody stopped a run; its outputs may be incomplete."""

    run_id: Identifier
    job: LongName
    namespace: LongName
    duration_ms: DurationMs
    actor_id: Identifier
    reason: Reason | None = None
    facets: JsonObject = field(default_factory=dict)
