"""What became of a published event."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from trunkline.catalogue.events import Event
from trunkline.client.changed import Changed
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown
from trunkline.codec import Envelope


class Delivered(msgspec.Struct, frozen=True):
    """Where the event is in the log, on disk as the cluster's durability has it."""

    topic: str
    partition: int
    offset: int


Outcome: TypeAlias = Delivered | DeliveryRejected | DeliveryUnknown


# Hidden from the garbage collector: a publisher's caller may keep hundreds of thousands, and traversing them
# costs more than publishing. No cycle can go through one that is settled, for what it calls back is let go.
class Delivery(msgspec.Struct, eq=False, gc=False):
    """The future outcome of one event: delivered, rejected (surely not in the log) or unknown.

    An event of unknown outcome may be published again with the same id (`Publisher.publish_again`):
    consumers process it once. Thread-safe.
    """

    envelope: Envelope[Event]
    lane: tuple[str, str]
    """Topic and tenant."""
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    """A tuple: the collector forgets it at first sight, while a list would be looked at until it goes."""
    size: int
    """Not less than the bytes it takes in a batch."""
    at: float
    """The monotonic time of publishing."""
    _changed: Changed
    _on_outcome: Callable[[Outcome], None] | None = None
    """Ends the event's span, if it is traced."""
    partition: int = -1
    _outcome: Outcome | None = None
    _callback: Callable[["Delivery"], None] | None = None

    @property
    def event_id(self) -> str:
        """The event's id, which stays the same when it is published again."""
        return self.envelope.id

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, None while it is open."""
        return self._outcome

    def result(self, timeout: float | None = None) -> Delivered:
        """Wait for the outcome, and return the position.

        Raises `DeliveryRejected` or `DeliveryUnknown`, and `TimeoutError` when the outcome is still open
        after `timeout` seconds; it may become known later.
        """
        if self._outcome is None:
            self._changed.wait_for(lambda: self._outcome is not None, timeout)
        outcome = self._outcome
        if outcome is None:
            raise TimeoutError(
                f"event {self.event_id} has no outcome after {timeout} s; it is still on its way, and may "
                "get into the log yet"
            )
        if isinstance(outcome, Delivered):
            return outcome
        raise outcome

    def when_done(self, callback: Callable[["Delivery"], None]) -> None:
        """Call back once, on the publisher's thread, or here and now if the outcome is known."""
        with self._changed.lock:
            if self._outcome is None:
                assert self._callback is None, "one callback is enough for its only user, the asyncio front"
                self._callback = callback
                return
        callback(self)

    def settle(self, outcome: Outcome) -> bool:
        """For the publisher, which holds the lock: fix the outcome. True if somebody asked for it.

        What was sent is let go; the event stays, for it may be published again.
        """
        self._outcome = outcome
        self.value, self.headers = b"", ()
        return self._callback is not None or self._on_outcome is not None

    def call_back(self) -> None:
        """For the publisher, which does not hold the lock: tell whoever asked for it."""
        on_outcome, self._on_outcome = self._on_outcome, None
        callback, self._callback = self._callback, None
        if on_outcome is not None and self._outcome is not None:
            on_outcome(self._outcome)
        if callback is not None:
            callback(self)
