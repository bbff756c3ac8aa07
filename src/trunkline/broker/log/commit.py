"""Group commit: many appends, one fdatasync a file, and nobody is told before it has returned.

While one sync of a file is running on a worker thread, everything appended meanwhile waits for the next one:
the group forms by itself, a single append on an idle file is synced at once, and no timer adds latency.
Different files are synced by different threads at the same time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal, Protocol, TypeAlias

Durability: TypeAlias = Literal["fsync", "os"]
"""`fsync`: an append is acknowledged once it is on the device. `os`: once the kernel has it; it survives the
death of the process, but the last moments are lost with the machine."""

SYNC_THREADS = 4
"""Concurrent syncs. The device merges neighbours: six files took 1.5 ms in turn and 0.7 ms on threads."""

OS_FLUSH_INTERVAL_S = 1.0
"""With `os` durability a file is still synced this often, so that a power cut loses about this much."""

Waiter: TypeAlias = Callable[[BaseException | None], None]


class Syncable(Protocol):
    """An append-only log that can be made durable behind the loop's back.

    `sync` runs on a worker thread while the loop appends more; everything else is called on the loop. After
    `sync` has raised once it must raise for ever: a second fdatasync proves nothing about the bytes of the
    first.
    """

    @property
    def log_end_offset(self) -> int:
        """The offset after the last appended one."""

    def sync(self) -> int:
        """Make everything appended before the call durable and return the offset after it."""

    def advance(self, offset: int) -> None:
        """Everything below `offset` is durable: make it visible."""


class _Queue:
    """Who waits for the next sync of one log. `running` holds from the start of a sync to its end."""

    __slots__ = ("error", "running", "waiters")

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.running = False
        self.error: BaseException | None = None


class GroupCommit:
    """Syncs logs for an asyncio loop. Create it on that loop and `close` it there."""

    def __init__(
        self,
        *,
        durability: Durability = "fsync",
        threads: int = SYNC_THREADS,
        flush_interval_s: float = OS_FLUSH_INTERVAL_S,
    ) -> None:
        self._durability = durability
        self._flush_interval_s = flush_interval_s
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="trunkline-sync")
        self._queues: dict[Syncable, _Queue] = {}
        self._flushes: dict[Syncable, asyncio.TimerHandle] = {}

    async def durable(self, log: Syncable) -> None:
        """Return when everything appended to `log` before this call is acknowledged and visible.

        Raises what `log.sync` raised; then and ever after, for the log has stopped.
        """
        done: asyncio.Future[BaseException | None] = self._loop.create_future()
        self.when_durable(log, partial(_resolve, done))
        error = await done
        if error is not None:
            raise error

    def when_durable(self, log: Syncable, callback: Waiter) -> None:
        """Call `callback(None)` on the loop once `log` is durable up to here, or `callback(error)`."""
        queue = self._queues.get(log)
        if queue is None:
            queue = self._queues[log] = _Queue()
        if queue.error is not None:
            callback(queue.error)
        elif self._durability == "os":
            log.advance(log.log_end_offset)
            self._flush_later(log)
            callback(None)
        else:
            queue.waiters.append(callback)
            if not queue.running:
                self._start(log, queue)

    def forget(self, log: Syncable) -> None:
        """Drop what is kept about a log that was deleted. Callers already waiting are still answered."""
        self._queues.pop(log, None)
        flush = self._flushes.pop(log, None)
        if flush is not None:
            flush.cancel()

    async def close(self) -> None:
        """Wait for the syncs under way and stop the threads."""
        for flush in self._flushes.values():
            flush.cancel()
        self._flushes.clear()
        for queue in self._queues.values():
            if queue.running:
                idle: asyncio.Future[BaseException | None] = self._loop.create_future()
                queue.waiters.append(partial(_resolve, idle))
                await idle
        self._pool.shutdown()

    def _flush_later(self, log: Syncable) -> None:
        if log not in self._flushes:
            self._flushes[log] = self._loop.call_later(self._flush_interval_s, self._flush, log)

    def _flush(self, log: Syncable) -> None:
        del self._flushes[log]
        queue = self._queues[log]
        if not queue.running:
            self._start(log, queue)

    def _start(self, log: Syncable, queue: _Queue) -> None:
        queue.running = True
        waiters, queue.waiters = queue.waiters, []
        self._pool.submit(self._run, log, queue, waiters)

    def _run(self, log: Syncable, queue: _Queue, waiters: list[Waiter]) -> None:
        offset, error = -1, None
        try:
            offset = log.sync()
        except Exception as failure:  # noqa: BLE001 - whatever stopped the sync must reach those who wait for it
            error = failure
        self._loop.call_soon_threadsafe(self._finish, log, queue, waiters, offset, error)

    def _finish(
        self, log: Syncable, queue: _Queue, waiters: list[Waiter], offset: int, error: BaseException | None
    ) -> None:
        if error is None:
            log.advance(offset)
        else:
            queue.error = error
            waiters += queue.waiters
            queue.waiters = []
        # The next group starts before this one is told: the device works while callbacks run.
        if queue.waiters:
            self._start(log, queue)
        else:
            queue.running = False
        for waiter in waiters:
            try:
                waiter(error)
            except Exception as failure:  # noqa: BLE001 - one waiter's bug must not leave the others waiting
                self._loop.call_exception_handler(
                    {"message": "a waiter of a group commit failed", "exception": failure}
                )


def _resolve(future: "asyncio.Future[BaseException | None]", error: BaseException | None) -> None:
    if not future.done():  # Its awaiter may have been cancelled.
        future.set_result(error)
