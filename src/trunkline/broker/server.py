"""The listening socket of the broker: accepts, limits, looks after and stops connections.

The only file with sockets. What happens on a connection is `connection`'s business, what a frame means the
dispatcher's.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
from typing import Final

from trunkline.broker.complaints import Complaints
from trunkline.broker.connection import DEFAULT_LIMITS, Connection, Limits
from trunkline.broker.exchange import Dispatcher
from trunkline.broker.framing import Room
from trunkline.errors import Unavailable

SCRATCH_BYTES: Final = 64 * 1024
"""Where all connections receive; an idle connection has no memory of its own for that."""

LISTEN_BACKLOG: Final = 512
SWEEP_S: Final = 5.0

log = logging.getLogger("trunkline.broker.server")


class Server:
    """Accepts connections until it is stopped."""

    def __init__(self, dispatcher: Dispatcher, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.loop = asyncio.get_running_loop()
        self.dispatcher = dispatcher
        self.limits = limits
        self.room = Room(limits.room_bytes)
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.port = 0
        self.complaints = Complaints(log, self.loop.time)

    async def listen(self, host: str, port: int) -> int:
        """Start accepting; returns the port, which the system chooses when `port` is 0.

        Raises `Unavailable` when the address cannot be had.
        """
        try:
            self._listener = await self.loop.create_server(
                lambda: Connection(self), host, port, backlog=LISTEN_BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise Unavailable(f"cannot listen on {host}:{port}: {_explained(error)}") from error
        self._sweeper = self.loop.call_later(SWEEP_S, self.sweep)
        self.port = int(self._listener.sockets[0].getsockname()[1])
        return self.port

    def stop_accepting(self) -> None:
        """Accept no more connections and no more requests; answers that are owed are still sent."""
        if self._listener is not None:
            self._listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self._connections):
            connection.close(finish=True)

    async def closed(self, *, timeout_s: float) -> None:
        """Wait until every connection is gone; those that are not in time are cut."""
        if not self._connections:
            return
        self._empty.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        for connection in tuple(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)

    # -- for connections

    def admit(self, connection: Connection) -> bool:
        """Count a new connection in, unless there are too many."""
        if len(self._connections) >= self.limits.connections_max:
            self.complaints.say("refused a connection: all %d are taken", self.limits.connections_max)
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def sweep(self) -> None:
        """Close the connections that are not worth their place; runs by itself every `SWEEP_S`."""
        now_s = self.loop.time()
        for connection in tuple(self._connections):
            reason = connection.idle(now_s)
            if reason is not None:
                log.info("closed a connection: %s", reason)
                connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeper = self.loop.call_later(SWEEP_S, self.sweep)


def _explained(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}; give --host an address of this machine"
    # asyncio wraps the system's text into one of its own.
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:
        return f"{reason}; stop what uses it or choose another --port"
    return f"{reason}; choose another --host or --port"
