"""Which step a run can take from where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import NotFound
from trunkline.services.pipeline.lifecycle import State, Step, StepRefused, next_state


@given(st.lists(st.sampled_from(Step), max_size=30))
def test_no_run_goes_on_after_it_has_completed_or_was_aborted(steps: list[Step]) -> None:
    state: State | None = None
    for step in steps:
        before = state
        try:
            state = next_state(state, step, run_id="r") or state
        except (NotFound, StepRefused):
            assert state is before
        if before in (State.COMPLETED, State.ABORTED):
            assert state is before


def test_a_failed_run_can_only_start_again() -> None:
    assert next_state(State.FAILED, Step.START, run_id="r") is State.STARTED
    with pytest.raises(StepRefused, match="run r is failed and cannot complete; what it can do is start"):
        next_state(State.FAILED, Step.COMPLETE, run_id="r")


def test_what_is_not_there_cannot_go_on() -> None:
    with pytest.raises(NotFound, match="there is none; start it first"):
        next_state(None, Step.PROGRESS, run_id="r")


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (State.STARTED, Step.START),
        (State.RUNNING, Step.START),
        (State.COMPLETED, Step.COMPLETE),
        (State.FAILED, Step.FAIL),
        (State.ABORTED, Step.ABORT),
    ],
)
def test_a_step_that_was_taken_changes_nothing(state: State, step: Step) -> None:
    assert next_state(state, step, run_id="r") is None
