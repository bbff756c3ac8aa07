"""A plan as it is shown to people."""

from dataclasses import dataclass

from trunkline.services.query.planner import Plan
from trunkline.services.query.rules import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What would happen with a statement: the decision about each table, and what would be executed."""

    allowed: bool
    policy_revision: int
    asset: str | None
    policy_id: str | None
    reason: str | None
    decisions: tuple[Decision, ...]
    sql: str | None


def explained(plan: Plan, *, with_sql: bool) -> Explanation:
    """`with_sql`: for those who may see what the policies say."""
    denied = plan.denied
    return Explanation(
        allowed=denied is None,
        policy_revision=plan.revision,
        asset=None if denied is None else plan.denied_asset,
        policy_id=None if denied is None else denied.policy_id,
        reason=None if denied is None else denied.reason,
        decisions=plan.decisions,
        sql=plan.sql if with_sql else None,
    )
