"""What can be done with runs: the service's Python API, which command line and HTTP API call, too.

    desk = Desk.of(context)
    with context.store.write() as tx:
        run = desk.start(tx, "acme", job="dbt.orders", namespace="warehouse", outputs=["warehouse.orders"])
        desk.complete(tx, "acme", run.run_id, rows_written=2_990)
    context.wake()

Every method takes the caller's transaction, in which the step and its event are one, and returns the run as
it is then. Repeating a step is safe. Raises `StepRefused` for one that cannot be taken, `NotFound`
for a run that there is not, and `TenantEnded`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import msgspec
from sqlalchemy import Connection

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events import Event
from trunkline.catalogue.events.pipeline import (
    PipelineRunAborted,
    PipelineRunCompleted,
    PipelineRunFailed,
    PipelineRunRunning,
    PipelineRunStarted,
)
from trunkline.client.outbox import Outbox
from trunkline.codec import derive_id, new_id
from trunkline.errors import InvalidInput
from trunkline.services.app import Context
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.kit.ending.ends import to_us
from trunkline.services.pipeline import store
from trunkline.services.pipeline.lifecycle import ATTEMPTS_MAX, State, Step, StepRefused, next_state
from trunkline.services.pipeline.store import Run

DATASETS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Moves runs. Stateless, thread-safe."""

    outbox: Outbox
    wall: Callable[[], datetime]

    @classmethod
    def of(cls, context: Context) -> Self:
        """The desk of the running service, or of a command on its store."""
        assert context.outbox is not None, "the contract has the pipeline service publish"
        return cls(outbox=context.outbox, wall=context.wall)

    def start(
        self,
        tx: Connection,
        tenant: str,
        *,
        job: str,
        namespace: str,
        run_id: str | None = None,
        inputs: Iterable[str] = (),
        outputs: Iterable[str] = (),
        trigger: str = "manual",
        scheduled_for: datetime | None = None,
        parent_run_id: str | None = None,
    ) -> Run:
        """Begin a run, or another attempt of one that failed. Without `run_id` it is a new run.

        Another attempt reads and writes what the one before did, unless told otherwise.
        Raises `InvalidInput` for a `run_id` that is another job's.
        """
        run_id = run_id or new_id()
        found = self._locked(tx, tenant, run_id)
        if found is not None and (found.job, found.namespace) != (job, namespace):
            raise InvalidInput(f"run {run_id} is of {found.namespace} {found.job}; choose another id")
        state = next_state(found.state if found else None, Step.START, run_id=run_id)
        if state is None:
            assert found is not None
            return found
        attempt = found.attempt + 1 if found else 1
        if attempt > ATTEMPTS_MAX:
            raise StepRefused(f"run {run_id} has had {ATTEMPTS_MAX} attempts; begin a new run")
        now = self.wall()
        event = PipelineRunStarted(
            run_id=run_id,
            job=job,
            namespace=namespace,
            inputs=_urns(inputs) or (found.inputs if found else ()),
            outputs=_urns(outputs) or (found.outputs if found else ()),
            trigger=trigger,
            scheduled_for=scheduled_for,
            parent_run_id=parent_run_id,
            attempt=attempt,
        )
        run = Run(
            run_id=run_id,
            job=job,
            namespace=namespace,
            state=state,
            attempt=attempt,
            known_us=found.known_us if found else to_us(now),
            started_us=to_us(now),
            inputs=event.inputs,
            outputs=event.outputs,
            parent_run_id=parent_run_id,
        )
        return self._step(tx, tenant, run, event, now)

    def progress(
        self,
        tx: Connection,
        tenant: str,
        run_id: str,
        *,
        percent: int | None = None,
        rows_written: int = 0,
    ) -> Run:
        """Tell how far a run is."""
        run = self._known(tx, tenant, run_id, Step.PROGRESS)
        event = PipelineRunRunning(
            run_id=run_id,
            job=run.job,
            namespace=run.namespace,
            progress_percent=percent,
            rows_written=rows_written,
        )
        now = self.wall()
        moved = msgspec.structs.replace(
            run, state=State.RUNNING, progress_percent=percent, rows_written=rows_written
        )
        return self._step(tx, tenant, moved, event, now, detail=str(to_us(now)))

    def complete(
        self,
        tx: Connection,
        tenant: str,
        run_id: str,
        *,
        rows_read: int = 0,
        rows_written: int = 0,
        bytes_written: int = 0,
    ) -> Run:
        """End a run well."""
        run = self._known(tx, tenant, run_id, Step.COMPLETE)
        if run.state is State.COMPLETED:
            return run
        now = self.wall()
        event = PipelineRunCompleted(
            run_id=run_id,
            job=run.job,
            namespace=run.namespace,
            duration_ms=_took_ms(run, now),
            inputs=run.inputs,
            outputs=run.outputs,
            rows_read=rows_read,
            rows_written=rows_written,
            bytes_written=bytes_written,
        )
        ended = self._ended(run, State.COMPLETED, now, message=None)
        return self._step(tx, tenant, msgspec.structs.replace(ended, rows_written=rows_written), event, now)

    def fail(self, tx: Connection, tenant: str, run_id: str, *, error_code: str, message: str) -> Run:
        """End a run's attempt with an error; it may be started again."""
        run = self._known(tx, tenant, run_id, Step.FAIL)
        if run.state is State.FAILED:
            return run
        now = self.wall()
        event = PipelineRunFailed(
            run_id=run_id,
            job=run.job,
            namespace=run.namespace,
            duration_ms=_took_ms(run, now),
            error_code=error_code,
            message=message,
            attempt=run.attempt,
        )
        return self._step(tx, tenant, self._ended(run, State.FAILED, now, message=message), event, now)

    def abort(
        self, tx: Connection, tenant: str, run_id: str, *, actor: str, reason: str | None = None
    ) -> Run:
        """Stop a run for good."""
        run = self._known(tx, tenant, run_id, Step.ABORT)
        if run.state is State.ABORTED:
            return run
        now = self.wall()
        event = PipelineRunAborted(
            run_id=run_id,
            job=run.job,
            namespace=run.namespace,
            duration_ms=_took_ms(run, now),
            actor_id=actor,
            reason=reason,
        )
        return self._step(tx, tenant, self._ended(run, State.ABORTED, now, message=reason), event, now)

    def _locked(self, tx: Connection, tenant: str, run_id: str) -> Run | None:
        require_not_ended(tx, tenant)
        return store.locked(tx, tenant, run_id)

    def _known(self, tx: Connection, tenant: str, run_id: str, step: Step) -> Run:
        """The run, which can take the step or has taken it."""
        found = self._locked(tx, tenant, run_id)
        next_state(found.state if found else None, step, run_id=run_id)
        assert found is not None, "a run that there is not takes no step"
        return found

    def _ended(self, run: Run, state: State, now: datetime, *, message: str | None) -> Run:
        return msgspec.structs.replace(run, state=state, ended_us=to_us(now), message=message)

    def _step(
        self, tx: Connection, tenant: str, run: Run, event: Event, now: datetime, *, detail: str = ""
    ) -> Run:
        id_ = derive_id("pipeline-run", run.run_id, str(run.attempt), run.state, detail)
        store.save(tx, tenant, run)
        if store.remember_step(tx, tenant, run, id_, at_us=to_us(now)):
            self.outbox.emit(tx, event, tenant=tenant, id=id_, time=now, subject=run.run_id)
        return run


def _took_ms(run: Run, now: datetime) -> int:
    return 0 if run.started_us is None else max(0, to_us(now) - run.started_us) // 1_000


def _urns(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sorted({asset_urn(name) for name in names}))
    if len(found) > DATASETS_MAX:
        raise InvalidInput(f"a run has at most {DATASETS_MAX} inputs and as many outputs, not {len(found)}")
    return found
