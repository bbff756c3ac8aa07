"""The publisher for asyncio: the same guarantees, awaited.

Outcomes arrive on the publisher's own thread in bursts. They are collected, and the event loop is woken once
for each burst; waking it for every event would cost more than publishing it.
"""

import asyncio
import contextlib
from collections import deque
from types import TracebackType
from typing import Self, Unpack

from trunkline.catalogue.events import Event
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.publisher import CLOSE_SECONDS, Context, Publisher
from trunkline.codec import Envelope


class AsyncPublisher:
    """Wraps a `Publisher` for the running event loop. It is closed with it."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._loop = asyncio.get_running_loop()
        self._arrived: deque[tuple[asyncio.Future[Delivered], Delivery]] = deque()
        self._woken = False
        self._room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._queued = 0

    async def publish(self, event: Event, *, tenant: str, **context: Unpack[Context]) -> Delivered:
        """Publish and wait for the outcome. Takes what `Publisher.publish` does, raises what `result` does.

        A full queue is awaited as long as it takes; the loop is never blocked.
        """
        return await self.publish_envelope(self._publisher.new_envelope(event, tenant=tenant, **context))

    async def publish_envelope(self, envelope: Envelope[Event]) -> Delivered:
        """As `publish`, for an event whose context is complete."""
        # Whoever waits for room goes first, or a tenant's later event might overtake.
        delivery = None if self._queued else self._publisher.offer(envelope, self._make_room)
        return await self._outcome(delivery or await self._wait_for_room(envelope))

    async def _wait_for_room(self, envelope: Envelope[Event]) -> Delivery:
        self._queued += 1
        try:
            async with self._turn:
                while True:
                    self._room.clear()
                    if (delivery := self._publisher.offer(envelope, self._make_room)) is not None:
                        return delivery
                    await self._room.wait()
        finally:
            self._queued -= 1

    def _make_room(self) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody awaits any more.
            self._loop.call_soon_threadsafe(self._room.set)

    async def flush(self, timeout: float) -> int:
        """As `Publisher.flush`, without blocking the loop."""
        return await asyncio.to_thread(self._publisher.flush, timeout)

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """As `Publisher.close`, without blocking the loop."""
        await asyncio.to_thread(self._publisher.close, timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _outcome(self, delivery: Delivery) -> "asyncio.Future[Delivered]":
        future: asyncio.Future[Delivered] = self._loop.create_future()
        delivery.when_done(lambda done: self._arrive(future, done))
        return future

    def _arrive(self, future: "asyncio.Future[Delivered]", delivery: Delivery) -> None:
        # No lock: `_hand_over` clears the flag before it looks, so that what comes later wakes the loop anew.
        self._arrived.append((future, delivery))
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody awaits any more.
                self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._woken = False
        while self._arrived:
            future, delivery = self._arrived.popleft()
            if future.done():
                continue  # Its awaiter was cancelled; the event is published all the same.
            outcome = delivery.outcome
            if isinstance(outcome, Delivered):
                future.set_result(outcome)
            elif outcome is not None:
                future.set_exception(outcome)
