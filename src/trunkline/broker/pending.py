"""An answer that is not there yet: a sync to disk, a long poll or a rebalance has to end first."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pending(Generic[T]):
    """A value promised to exactly one reader, delivered on the thread that resolves it.

    Cheaper and more immediate than a future: the reader's callback runs inside `resolve`, without a turn of
    the event loop in between. The reader may lose interest first (its connection closed): `abandon` then runs
    what the promising side left in `on_abandon`, and a later `resolve` is ignored.
    """

    __slots__ = ("_abandoned", "_callback", "_on_abandon", "_resolved", "_value")

    def __init__(self, on_abandon: Callable[[], object] | None = None) -> None:
        self._callback: Callable[[T], None] | None = None
        self._on_abandon = on_abandon
        self._resolved = False
        self._abandoned = False
        self._value: T | None = None

    @property
    def open(self) -> bool:
        """Neither resolved nor abandoned."""
        return not (self._resolved or self._abandoned)

    def resolve(self, value: T) -> None:
        """Deliver `value`. Only the first call counts."""
        if not self.open:
            return
        self._resolved = True
        self._on_abandon = None
        if self._callback is None:
            self._value = value
        else:
            self._callback(value)

    def then(self, callback: Callable[[T], None]) -> None:
        """Have `callback` called with the value: now if it is there, once otherwise."""
        if self._resolved:
            callback(self._value)  # type: ignore[arg-type]  # resolved, so it is a T
        else:
            self._callback = callback

    def abandon(self) -> None:
        """The reader is gone: nobody will be told the value."""
        if self.open:
            self._abandoned = True
            self._callback = None
            if self._on_abandon is not None:
                self._on_abandon()


class Gathering(Generic[T]):
    """A value that is complete only when several things have happened, such as the syncs of several logs.

    Call `expect` for each of them, `arrived` when it has happened, and `arrived` once more when no other one
    will be expected.
    """

    __slots__ = ("_missing", "promise", "value")

    def __init__(self, value: T) -> None:
        """`value` may be filled in until it is delivered."""
        self.value = value
        self.promise: Pending[T] = Pending()
        self._missing = 1

    def expect(self) -> None:
        """One more thing has to happen."""
        self._missing += 1

    def arrived(self) -> None:
        """It has happened."""
        self._missing -= 1
        if not self._missing:
            self.promise.resolve(self.value)
