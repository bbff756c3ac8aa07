"""What a comparison of two contracts finds."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["breaking", "compatible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `code` is a stable word for programs, `subject` the event type, topic or environment.

    `hurts` names the services that a breaking change would hurt, sorted; a compatible one hurts nobody.
    """

    severity: Severity
    code: str
    subject: str
    message: str
    hurts: tuple[str, ...] = ()

    def __str__(self) -> str:
        hurt = f" (hurts {', '.join(self.hurts)})" if self.hurts else ""
        return f"{self.severity}: {self.subject}: {self.message}{hurt}"
