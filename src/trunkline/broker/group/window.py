"""How long a group waits for its members to join."""


class JoinWindow:
    """The time between the beginning of a rebalance and its next generation.

    An ordinary window closes early when all members have come, and at the latest after the rebalance timeout.
    That of an empty group stays open for a short delay instead, so that members that start together share
    their first generation; it is extended by that delay while more come, within the rebalance timeout.
    """

    __slots__ = ("_delay_ms", "_grew", "_left_ms", "deadline_ms")

    def __init__(self) -> None:
        self.deadline_ms: int | None = None
        """When `end` is due; None while no rebalance is under way."""
        self._delay_ms = 0
        self._left_ms = 0
        self._grew = False

    def open(self, timeout_ms: int, *, now_ms: int) -> None:
        """Wait for all members, at most this long."""
        self.deadline_ms = now_ms + timeout_ms
        self._delay_ms = self._left_ms = 0

    def open_delayed(self, delay_ms: int, timeout_ms: int, *, now_ms: int) -> None:
        """Wait for whoever comes within the delay."""
        self._delay_ms = min(delay_ms, timeout_ms)
        self._left_ms = timeout_ms - self._delay_ms
        self._grew = False
        self.deadline_ms = now_ms + self._delay_ms

    @property
    def delayed(self) -> bool:
        """Whether it stays open although everybody known has come."""
        return self._delay_ms > 0

    def grew(self) -> None:
        """Another member came."""
        self._grew = True

    def end(self, *, now_ms: int) -> bool:
        """The deadline has passed: True when the window is over, False when it was extended."""
        step_ms = min(self._delay_ms, self._left_ms)
        if not self._grew or step_ms == 0:
            return True
        self._left_ms -= step_ms
        self._grew = False
        self.deadline_ms = now_ms + step_ms
        return False

    def close(self) -> None:
        """The next generation begins."""
        self.deadline_ms = None
        self._delay_ms = self._left_ms = 0
