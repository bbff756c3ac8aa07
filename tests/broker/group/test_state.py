"""The table of states."""

import pytest

from trunkline.broker.group.state import CLASSIC_TRANSITIONS, GroupState, check_transition


def test_every_state_has_a_row_and_only_death_is_final() -> None:
    assert set(CLASSIC_TRANSITIONS) == set(GroupState)
    assert [state for state, targets in CLASSIC_TRANSITIONS.items() if not targets] == [GroupState.DEAD]


def test_a_transition_that_is_not_in_the_table_is_a_bug() -> None:
    check_transition(GroupState.EMPTY, GroupState.PREPARING_REBALANCE)
    with pytest.raises(AssertionError, match="from Empty to Stable"):
        check_transition(GroupState.EMPTY, GroupState.STABLE)
