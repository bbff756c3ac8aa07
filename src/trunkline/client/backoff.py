"""How long to wait before trying again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Doubling waits with a bound, in seconds, without jitter: a consumer waits for its own store only."""

    first: float = 0.1
    longest: float = 10.0

    def wait(self, failures: int) -> float:
        """The wait after this many failures in a row, the first being number 1."""
        return float(min(self.first * 2 ** min(failures - 1, 32), self.longest))
