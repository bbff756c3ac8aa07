"""Billing: facts, numbers and what was told of them, under plans that are small enough to be exceeded."""

from typing import Final

from trunkline.services.billing.state import state_digest
from trunkline.testing.suite.case import Case

_KEPT: Final = "tax law wants the numbers, and what they follow from; people stand in it as blind hashes"

_KEPT_TABLES: Final = (
    "usage_event",
    "usage_agg",
    "usage_unique",
    "usage_period",
    "correction",
    "tenant_change",
    "erased_tenant",
)

CASE: Final = Case(
    service="billing-service",
    digest=state_digest,
    settings={
        "billing.plans.free": {"limits": {"QUERY_EXECUTIONS": 5, "LLM_TOKENS": 9_000, "ACTIVE_USERS": 3}},
        "billing.plans.starter": {"limits": {"QUERY_EXECUTIONS": 20, "LLM_TOKENS": 20_000}},
        "billing.plans.professional": {"limits": {"QUERY_EXECUTIONS": 40, "COMPUTE_SECONDS": "0.01"}},
        "billing.meters.longest_query_us": {
            "event_type": "query.completed.v1",
            "aggregation": "max",
            "value": "duration_us",
            "unit": "microseconds",
            "group_by": ["engine"],
        },
    },
    keeps=dict.fromkeys(_KEPT_TABLES, _KEPT),
)
