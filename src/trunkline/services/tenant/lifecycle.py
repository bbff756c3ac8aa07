"""The states of a tenant and what leads from one to the other. Pure.

    pending ──activate──> active ──suspend──> suspended
       │ ^                  │ ^ ^                 │ │
      fail activate         │ │ └──reactivate─────┘ │
       v │                  │ └──reactivate──┐      │
     failed ──schedule──> pending_deletion <─schedule
                            └──delete──> deleted

A step that leads to where the tenant is already changes nothing and is no error, so that a caller may repeat
what it does not know the outcome of. Anything else that is not in the table is refused.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trunkline.errors import TrunklineError


class State(StrEnum):
    """What a tenant may be."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PENDING_DELETION = "pending_deletion"
    FAILED = "failed"
    DELETED = "deleted"


class Step(StrEnum):
    """What may be done with a tenant that is there."""

    ACTIVATE = "activate"
    FAIL = "fail"
    CHANGE_TIER = "change-tier"
    SUSPEND = "suspend"
    REACTIVATE = "reactivate"
    SCHEDULE_DELETION = "schedule-deletion"
    DELETE = "delete"


_S = State

STEPS: Final[Mapping[Step, Mapping[State, State]]] = MappingProxyType(
    {
        Step.ACTIVATE: {_S.PENDING: _S.ACTIVE, _S.FAILED: _S.ACTIVE},
        Step.FAIL: {_S.PENDING: _S.FAILED, _S.FAILED: _S.FAILED},
        Step.CHANGE_TIER: {_S.ACTIVE: _S.ACTIVE},
        Step.SUSPEND: {_S.ACTIVE: _S.SUSPENDED},
        Step.REACTIVATE: {_S.SUSPENDED: _S.ACTIVE, _S.PENDING_DELETION: _S.ACTIVE},
        Step.SCHEDULE_DELETION: {
            _S.PENDING: _S.PENDING_DELETION,
            _S.FAILED: _S.PENDING_DELETION,
            _S.ACTIVE: _S.PENDING_DELETION,
            _S.SUSPENDED: _S.PENDING_DELETION,
        },
        Step.DELETE: {_S.PENDING_DELETION: _S.DELETED},
    }
)
"""By step, from which state it leads to which."""

_ARRIVED: Final[Mapping[Step, State]] = MappingProxyType(
    {
        Step.ACTIVATE: _S.ACTIVE,
        Step.SUSPEND: _S.SUSPENDED,
        Step.REACTIVATE: _S.ACTIVE,
        Step.SCHEDULE_DELETION: _S.PENDING_DELETION,
        Step.DELETE: _S.DELETED,
    }
)


class StepRefused(TrunklineError):  # noqa: N818 - named for what happened
    """The tenant is not in a state, or not at a version, from which this can be done."""


def next_state(tenant: str, state: State, step: Step) -> State | None:
    """The state that a step leads to; None if the tenant is where the step would lead.

    Raises `StepRefused`, whose text says from which states it can be done.
    """
    found = STEPS[step].get(state)
    if found is not None:
        return found
    if _ARRIVED.get(step) is state:
        return None
    wanted = " or ".join(STEPS[step])
    raise StepRefused(f"cannot {step} tenant {tenant}: it is {state}, and must be {wanted}")
