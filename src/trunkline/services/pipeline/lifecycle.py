"""The states of a run, and which step leads where. Pure.

    (none) --start--> started --progress--> running --complete--> completed
                         |                     |----fail------> failed --start--> started (next attempt)
                         |                     '----abort-----> aborted
                         '---- complete, fail, abort as from running

A step that has been taken may be repeated: the run stays as it is, and nothing is told again. Every other
step is refused. A run that has completed or was aborted never goes on.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from trunkline.errors import NotFound, TrunklineError

ATTEMPTS_MAX: Final = 1_000
"""Of one run; whoever starts one again and again for ever has a loop."""


class State(StrEnum):
    """Where a run is."""

    STARTED = "started"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"

    @property
    def is_final(self) -> bool:
        """Whether this attempt is over."""
        return self in (State.COMPLETED, State.FAILED, State.ABORTED)


class Step(StrEnum):
    """What can happen to a run."""

    START = "start"
    PROGRESS = "progress"
    COMPLETE = "complete"
    FAIL = "fail"
    ABORT = "abort"


class StepRefused(TrunklineError):  # noqa: N818 - named for what became of the step
    """The run is in no state for this step; nothing was changed."""


_UNDER_WAY: Final = {
    Step.PROGRESS: State.RUNNING,
    Step.COMPLETE: State.COMPLETED,
    Step.FAIL: State.FAILED,
    Step.ABORT: State.ABORTED,
}
TRANSITIONS: Final[Mapping[State | None, Mapping[Step, State]]] = {
    None: {Step.START: State.STARTED},
    State.STARTED: _UNDER_WAY,
    State.RUNNING: _UNDER_WAY,
    State.FAILED: {Step.START: State.STARTED},
    State.COMPLETED: {},
    State.ABORTED: {},
}
"""State -> step -> the state after it."""

_REPEATED: Final[Mapping[Step, frozenset[State]]] = {
    Step.START: frozenset({State.STARTED, State.RUNNING}),
    Step.PROGRESS: frozenset(),
    Step.COMPLETE: frozenset({State.COMPLETED}),
    Step.FAIL: frozenset({State.FAILED}),
    Step.ABORT: frozenset({State.ABORTED}),
}
_PAST: Final = {Step.PROGRESS: "have progress"}


def next_state(state: State | None, step: Step, *, run_id: str) -> State | None:
    """The state after a step; None when the step has been taken. Raises `StepRefused`, and `NotFound`."""
    if state in _REPEATED[step]:
        return None
    found = TRANSITIONS[state].get(step)
    if found is not None:
        return found
    if state is None:
        raise NotFound(f"run {run_id}: there is none; start it first")
    possible = ", ".join(TRANSITIONS[state]) or "nothing more"
    raise StepRefused(
        f"run {run_id} is {state} and cannot {_PAST.get(step, step)}; what it can do is {possible}"
    )
