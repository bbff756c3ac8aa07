"""What is wrong with a catalogue file: every problem at once, each with its place."""

from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong. `line` counts from 1; `message` is one sentence."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class CatalogueError(InvalidInput):
    """The catalogue file was refused whole. `problems` is never empty and is in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
