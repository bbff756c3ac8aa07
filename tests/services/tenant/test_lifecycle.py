"""Which step leads from which state to which, and that nothing else does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.services.tenant.lifecycle import STEPS, State, Step, StepRefused, next_state


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_a_step_is_in_the_table_or_done_already_or_refused_in_one_line(state: State, step: Step) -> None:
    if state in STEPS[step]:
        assert next_state("acme", state, step) is STEPS[step][state]
    elif state in STEPS[step].values():
        assert next_state("acme", state, step) is None
    else:
        with pytest.raises(StepRefused, match=f"it is {state}") as refused:
            next_state("acme", state, step)
        assert "\n" not in str(refused.value)


def test_only_an_active_tenant_can_be_suspended() -> None:
    assert next_state("acme", State.ACTIVE, Step.SUSPEND) is State.SUSPENDED
    with pytest.raises(StepRefused, match="cannot suspend tenant acme: it is pending, and must be active"):
        next_state("acme", State.PENDING, Step.SUSPEND)


@given(st.lists(st.sampled_from(list(Step)), max_size=30))
def test_nothing_leads_out_of_deleted_and_only_a_grace_period_into_it(steps: list[Any]) -> None:
    state, before = State.PENDING, State.PENDING
    for step in steps:
        try:
            found = next_state("acme", state, step)
        except StepRefused:
            continue
        if found is not None:
            before, state = state, found
        assert state is not State.DELETED or before is State.PENDING_DELETION
    if state is State.DELETED:
        for step in Step:
            if step is not Step.DELETE:
                with pytest.raises(StepRefused):
                    next_state("acme", state, step)
