"""Spreads work over time. Sans-IO: the time is an argument, in seconds."""

from trunkline.errors import InvalidInput


class Pace:
    """At most so many a second, evenly: what was not used is not saved up for a burst."""

    def __init__(self, per_second: float) -> None:
        """Raises `InvalidInput` for a pace that never ends."""
        if not per_second > 0:
            raise InvalidInput(f"a rate of {per_second:g} a second is none; give a number above 0")
        self._every_seconds = 1 / per_second
        self._due = float("-inf")

    def wait(self, now: float) -> float:
        """The seconds until the next may begin."""
        return max(0.0, self._due - now)

    def took(self, now: float) -> None:
        """One has begun."""
        self._due = max(self._due, now) + self._every_seconds
