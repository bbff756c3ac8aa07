"""Theory of operation: the states of a classic consumer group.

A group decides, over and over, who its members are and what each one owns. One such decision is a generation.
It is made in two round trips, because the assignment is computed by a member (the leader), not by the broker:

    PreparingRebalance    The coordinator collects a JoinGroup from every member, until all have come or the
                          longest rebalance timeout among them is over: who has not come by then is out. The
                          answers carry the new generation, and to the leader the list of members.
    CompletingRebalance   The coordinator waits for the leader's SyncGroup, which carries the assignment, and
                          holds back everyone else's. Who has not synced within the rebalance timeout is out,
                          and another rebalance begins.
    Stable                Everyone owns what the assignment says. A member that joins, leaves, falls silent
                          for its session timeout or changes its subscription begins the next rebalance.
    Empty                 No members. There may be committed offsets, and they age from this moment on.
    Dead                  Removed. Only an answer about a group that does not exist has this state.

A partition has one owner because only members of the current generation own anything, and because a
generation begins only when all members have joined it, which an eager client does with nothing in hand and a
cooperative one with what it may keep. Commits are fenced by generation, and refused while an assignment is
outstanding.

This table is the classic protocol's. Groups of the KIP-848 protocol have their own states (Assigning,
Reconciling) and their own machine beside this one; both kinds share offsets, journal and coordinator.
"""

from enum import StrEnum
from typing import Final


class GroupState(StrEnum):
    """The value is the name that the protocol uses in DescribeGroups and ListGroups."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


CLASSIC_TRANSITIONS: Final[dict[GroupState, frozenset[GroupState]]] = {
    GroupState.EMPTY: frozenset({GroupState.PREPARING_REBALANCE, GroupState.DEAD}),
    GroupState.PREPARING_REBALANCE: frozenset({GroupState.COMPLETING_REBALANCE, GroupState.EMPTY}),
    GroupState.COMPLETING_REBALANCE: frozenset({GroupState.STABLE, GroupState.PREPARING_REBALANCE}),
    GroupState.STABLE: frozenset({GroupState.PREPARING_REBALANCE}),
    GroupState.DEAD: frozenset(),
}


def check_transition(source: GroupState, target: GroupState) -> None:
    """Assert that the table has this transition."""
    assert target in CLASSIC_TRANSITIONS[source], f"a group cannot go from {source} to {target}"
