"""What a source could not turn into an event."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BadInput:
    """A file, or one record or line of it (`number`, from 1), that was skipped, and why."""

    path: Path
    number: int | None
    reason: str

    def __str__(self) -> str:
        place = f"{self.path}" if self.number is None else f"{self.path}:{self.number}"
        return f"{place}: {self.reason}"
