"""`trunkline access explain`: an answer, a reason and an exit code, without a cluster."""

from collections.abc import Callable
from typing import Any

import pytest

Trunkline = Callable[..., Any]
EXPLAIN = ("access", "explain")


def test_what_is_allowed_is_told_with_the_right_that_allows_it(trunkline: Trunkline) -> None:
    ran = trunkline(*EXPLAIN, "billing-service", "describe", "billing.usage.events")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "billing-service may Describe topic billing.usage.events: publishes it",
        "  by: Describe, Write on topic billing.usage.events (literal)",
    ]


def test_what_is_denied_is_told_with_who_may_instead(trunkline: Trunkline) -> None:
    ran = trunkline(*EXPLAIN, "audit-service", "write", "billing.usage.events")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.splitlines()[0].startswith("audit-service may not Write topic billing.usage.events: ")
    assert ran.out.splitlines()[1] == "  who may: billing-service"


def test_what_no_service_may_is_said_so(trunkline: Trunkline) -> None:
    ran = trunkline(*EXPLAIN, "tenant-service", "delete", "tenant.lifecycle.events")
    assert ran.code == 1
    assert "who may: no service" in ran.out


def test_json_has_the_decision_and_its_rights(trunkline: Trunkline) -> None:
    allowed = trunkline(*EXPLAIN, "audit-service", "Read", "audit-service-2", "--kind", "group", "--json")
    assert allowed.code == 0
    assert allowed.json() == {
        "service": "audit-service",
        "operation": "Read",
        "resource": {"type": "group", "name": "audit-service-2"},
        "allowed": True,
        "because": "joins it and commits in it",
        "rights": [
            {
                "type": "group",
                "name": "audit-service",
                "pattern": "prefix",
                "operations": ["Describe", "Read"],
                "because": "joins it and commits in it",
            }
        ],
        "may_instead": [],
    }
    denied = trunkline(*EXPLAIN, "audit-service", "write", "ai.agent.events", "--json")
    assert denied.code == 1
    assert (denied.json()["allowed"], denied.json()["may_instead"]) == (False, ["ai-service"])


@pytest.mark.parametrize("operation", ["alter-configs", "AlterConfigs", "ALTER_CONFIGS"])
def test_an_operation_may_be_written_as_kafkas_tools_do(trunkline: Trunkline, operation: str) -> None:
    ran = trunkline(*EXPLAIN, "ai-service", operation, "ai.agent.events")
    assert ran.code == 1
    assert "may not AlterConfigs" in ran.out


def test_topics_of_the_backbone_itself_are_known(trunkline: Trunkline) -> None:
    assert trunkline(*EXPLAIN, "iam-service", "read", "trunkline.erasure.receipts").code == 0
    assert trunkline(*EXPLAIN, "iam-service", "read", "trunkline.broadcast.positions").code == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("audit-servce", "read", "ai.agent.events"), "did you mean audit-service"),
        (("audit-service", "raed", "ai.agent.events"), "did you mean read"),
        (("audit-service", "read", "ai.agent.event"), "did you mean ai.agent.events"),
        (("audit-service", "read", "x", "--kind", "grup"), "did you mean group"),
        (("audit-service", "describe", "mine", "--kind", "cluster"), "kafka-cluster"),
    ],
)
def test_a_mistake_is_no_denial(trunkline: Trunkline, arguments: tuple[str, ...], why: str) -> None:
    ran = trunkline(*EXPLAIN, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
    assert ran.err.count("\n") == 1
