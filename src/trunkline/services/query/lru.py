"""What was worked out lately, bounded."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Lru(Generic[V]):
    """The values used last. Thread-safe; two threads may work out the same value, and either is kept."""

    def __init__(self, size_max: int, *, weight_max: int, weight: Callable[[V], int]) -> None:
        """As many values as `size_max` that weigh up to `weight_max` together; heavier ones are not kept."""
        self._size_max = size_max
        self._weight_max = weight_max
        self._weight_of = weight
        self._weight = 0
        self._kept: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of the key, made unless it is here. What `make` raises is raised, and not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        value = make()
        weight = self._weight_of(value)
        if weight > self._weight_max:
            return value
        with self._lock:
            self._weight += weight - self._kept.pop(key, (value, 0))[1]
            self._kept[key] = value, weight
            while len(self._kept) > self._size_max or self._weight > self._weight_max:
                self._weight -= self._kept.popitem(last=False)[1][1]
        return value

    def __len__(self) -> int:
        return len(self._kept)
