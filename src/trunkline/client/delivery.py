"""What became of a published event."""

import threading
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from trunkline.catalogue.events import Event
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown
from trunkline.client.sizes import upper_bound
from trunkline.codec import Encoded, Envelope


class Delivered(msgspec.Struct, frozen=True):
    """Where the event is in the log, on disk as the cluster's durability has it."""

    topic: str
    partition: int
    offset: int


Outcome: TypeAlias = Delivered | DeliveryRejected | DeliveryUnknown


class Delivery:
    """The future outcome of one event: delivered, rejected (surely not in the log) or unknown.

    An event of unknown outcome may be published again with the same id (`Publisher.publish_again`):
    consumers process it once. Thread-safe.
    """

    __slots__ = (
        "_callback",
        "_changed",
        "_on_outcome",
        "_outcome",
        "at",
        "encoded",
        "envelope",
        "lane",
        "partition",
        "size",
    )

    def __init__(
        self,
        envelope: Envelope[Event],
        topic: str,
        encoded: Encoded,
        changed: threading.Condition,
        *,
        at: float,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        """`at` is the monotonic time of publishing; `on_outcome` ends the event's span, if it is traced."""
        self.envelope = envelope
        self.lane: tuple[str, str] = (topic, envelope.tenantid)
        self.encoded = encoded
        self.size = upper_bound(encoded)
        self.at = at
        self.partition = -1
        self._changed = changed
        self._on_outcome = on_outcome
        self._outcome: Outcome | None = None
        self._callback: Callable[[Delivery], None] | None = None

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
            with self._changed:
                self._changed.wait_for(lambda: self._outcome is not None, timeout)
        outcome = self._outcome
        if outcome is None:
            raise TimeoutError(f"event {self.event_id} is not acknowledged after {timeout} s")
        if isinstance(outcome, Delivered):
            return outcome
        raise outcome

    def when_done(self, callback: Callable[["Delivery"], None]) -> None:
        """Call back once, on the publisher's thread, or here and now if the outcome is known."""
        with self._changed:
            if self._outcome is None:
                assert self._callback is None, "one callback is enough for its only user, the asyncio front"
                self._callback = callback
                return
        callback(self)

    def settle(self, outcome: Outcome) -> None:
        """For the publisher, which holds the condition: fix the outcome."""
        self._outcome = outcome

    def call_back(self) -> None:
        """For the publisher, which does not hold the condition: tell whoever asked for it."""
        if self._on_outcome is not None and self._outcome is not None:
            self._on_outcome(self._outcome)
        if self._callback is not None:
            self._callback(self)
