"""When each group has to be looked at next."""

import heapq
from collections.abc import Iterator


class Timers:
    """The deadline of each group. It may be set earlier than it was, never later: a group looked at too early
    says so and is set again."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}
        """The entry of the heap that counts for each group; others are left over."""

    @property
    def next_ms(self) -> int | None:
        """When the first group is due; may be early, never late."""
        return self._heap[0][0] if self._heap else None

    def set(self, group_id: str, deadline_ms: int) -> None:
        """Have the group looked at by then."""
        due_ms = self._due.get(group_id)
        if due_ms is None or deadline_ms < due_ms:
            self._due[group_id] = deadline_ms
            heapq.heappush(self._heap, (deadline_ms, group_id))

    def drop(self, group_id: str) -> None:
        """The group is gone."""
        self._due.pop(group_id, None)

    def due(self, now_ms: int) -> Iterator[str]:
        """The groups to look at now, each to be set again afterwards if it has another deadline."""
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, group_id = heapq.heappop(self._heap)
            if self._due.get(group_id) == due_ms:
                del self._due[group_id]
                yield group_id
