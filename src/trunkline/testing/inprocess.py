"""The broker inside this process: on a loop in a thread of its own, on any file system, with any limits.

For tests that need to see or to break what a process of its own would hide: a full disk, a device that fails.
For everything else `trunkline.testing.processes` is closer to the truth.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from trunkline.broker.broker import Broker, Settings
from trunkline.broker.connection import DEFAULT_LIMITS, Limits
from trunkline.broker.log.fs import Fs
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.node import Address, running

DEADLINE_S: Final = 20.0

SETTINGS: Final = Settings(data_dir=Path("/data"))

T = TypeVar("T")


class BrokerThread:
    """A running broker; a context manager that stops it cleanly."""

    def __init__(
        self,
        fs: Fs | None = None,
        settings: Settings = SETTINGS,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Start it on an empty file system in memory unless `fs` is given; raises what its start raises."""
        self.fs = fs or MemoryFs()
        self._settings = settings
        self._limits = limits
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, Broker, Address]] = Future()
        self._thread = threading.Thread(target=self._main, name="broker", daemon=True)
        self._thread.start()
        self._loop, self._stop, self.broker, listening = self._started.result(DEADLINE_S)
        self.address = str(listening)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _run(self) -> None:
        stop = asyncio.Event()
        async with running(
            self.fs, self._settings, listen=Address("127.0.0.1", 0), limits=self._limits
        ) as node:
            self._started.set_result((asyncio.get_running_loop(), stop, node.broker, node.listening))
            await stop.wait()

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the broker's loop, where its state may be touched."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it belongs to the caller's thread
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(DEADLINE_S)

    def stop(self) -> None:
        """Stop it cleanly; fine when it has stopped."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the broker does not stop"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
