"""Stops a consumer whose every event fails: a bad deploy must not skip the whole topic into the ledger."""

from collections.abc import Iterable
from typing import Final

FAILURES_IN_A_ROW_MAX: Final = 100
"""As many as one poll returns at most. A duplicate counts neither way."""


class Breaker:
    """Counts failures in a row over all partitions of a consumer. With a limit of 0 it never opens."""

    def __init__(self, limit: int = FAILURES_IN_A_ROW_MAX) -> None:
        self.limit = limit
        self._failures = 0

    @property
    def failures_in_a_row(self) -> int:
        """Of batches that were recorded."""
        return self._failures

    def would_open(self, successes: Iterable[bool]) -> bool:
        """Whether these outcomes, in order, reach the limit at any point; asked before they are committed."""
        if not self.limit:
            return False
        failures = self._failures
        for success in successes:
            failures = 0 if success else failures + 1
            if failures >= self.limit:
                return True
        return False

    def record(self, successes: Iterable[bool]) -> None:
        """The outcomes are committed."""
        for success in successes:
            self._failures = 0 if success else self._failures + 1
