"""One alert as a value, and how it becomes a rule of a PrometheusRule."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

RUNBOOK: Final = "docs/how-to/alerts.md"
"""The page that has a section for each alert."""


class Severity(StrEnum):
    """How soon somebody should look: at once, within the day, when there is time."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Fires when `expr` has had a result for as long as `lasting` says, a PromQL duration.

    `summary` tells what is the case and `action` what to do; both may use Prometheus's templates. `why` is
    for a reader of the rule who would ask about the expression or the duration.
    """

    name: str
    expr: str
    lasting: str
    severity: Severity
    summary: str
    action: str
    why: str | None = None

    @property
    def runbook(self) -> str:
        """Where the documentation has a section for it."""
        return f"{RUNBOOK}#{self.name.lower()}"

    def rule(self, environment: str) -> dict[str, Any]:
        """The rule in the PrometheusRule of an environment."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.lasting,
            "labels": {"severity": str(self.severity), "environment": environment},
            "annotations": {
                "summary": self.summary,
                "description": f"{self.summary}. {self.action}.",
                "runbook": self.runbook,
            },
        }


def grew(counter: str, by: str, *, within: str) -> str:
    """PromQL that has a result where a counter grew within a window, summed by some labels.

    `increase` alone misses the first failure: a counter with labels exists only once it is 1, and nothing was
    there before to compare it with. So a series that had no sample in the window before counts whole.
    """
    return (
        f"sum by ({by}) (increase({counter}[{within}])) > 0"
        f" or sum by ({by}) ({counter} unless last_over_time({counter}[{within}] offset {within})) > 0"
    )
