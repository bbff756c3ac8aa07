"""What other policies would have decided about the queries of the log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from trunkline.services.query.errors import BadStatement
from trunkline.services.query.log import Entry
from trunkline.services.query.planner import Plan, Policies

SAMPLES_MAX: Final = 1_000
"""Statements compared at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of a statement: `allowed`, `denied` by a policy, or `refused` whatever the policies say.

    `filters` and `masks` are the policies that would be applied, as `ASSET: POLICY`.
    """

    decision: str
    policy_id: str | None = None
    reason: str | None = None
    filters: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A query whose outcome is another one: how it is now, and how it would be."""

    query_id: str
    user_id: str
    sql: str
    now: Outcome
    then: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """How many statements were compared, and those that come out differently, newest first."""

    compared: int
    revision: int
    differences: tuple[Difference, ...]


Planning: TypeAlias = Callable[[Entry, Policies], Plan]
"""What an entry's statement comes to under these policies; raises `BadStatement`."""


def compare(plan: Planning, entries: Sequence[Entry], *, now: Policies, then: Policies) -> WhatIf:
    """Both decided by the tables as they are now, for the readers who asked."""
    differences = []
    for entry in entries:
        before = _outcome(plan, entry, now)
        after = _outcome(plan, entry, then)
        if before != after:
            differences.append(
                Difference(
                    query_id=entry.query_id, user_id=entry.user_id, sql=entry.sql, now=before, then=after
                )
            )
    return WhatIf(compared=len(entries), revision=now.bundle.revision, differences=tuple(differences))


def _outcome(plan: Planning, entry: Entry, policies: Policies) -> Outcome:
    try:
        return outcome_of(plan(entry, policies))
    except BadStatement as error:
        return Outcome(decision="refused", reason=str(error))


def outcome_of(plan: Plan) -> Outcome:
    """A plan in the words of a comparison."""
    if plan.denied is not None:
        return Outcome(decision="denied", policy_id=plan.denied.policy_id, reason=plan.denied.reason)
    return Outcome(
        decision="allowed",
        filters=tuple(sorted(f"{one.asset}: {name}" for one in plan.decisions for name in one.filters)),
        masks=tuple(
            sorted(
                f"{one.asset}.{column}: {name}"
                for one in plan.decisions
                for column, names in one.masks.items()
                for name in names
            )
        ),
    )
