"""A TCP proxy on loopback that can cut, swallow and delay what passes, while both sides live on.

with FaultProxy("127.0.0.1:9092") as proxy:
    connect_to(proxy.address)
    proxy.cut()             # every connection dropped, new ones refused
    proxy.mend()
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self, TypeVar

CHUNK_BYTES: Final = 1 << 16
BACKLOG: Final = 128
CALL_SECONDS_MAX: Final = 20.0
HELD_CHUNKS_MAX: Final = 256
"""Of one direction of a connection while it is delayed: 16 MiB. The sender then has to wait."""

T = TypeVar("T")


class Link(StrEnum):
    """What becomes of bytes."""

    OPEN = "open"
    CUT = "cut"
    BLACK_HOLE = "black hole"


class FaultProxy:
    """Listens from construction on, on a thread of its own; a context manager that ends it.

    `port` 0 takes a free one. The port stays this proxy's while it is cut, so nobody else can take it.
    """

    def __init__(self, target: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        target_host, _, target_port = target.rpartition(":")
        self._target = (target_host, int(target_port))
        self._delay = 0.0
        self._link = Link.OPEN
        self._passing = asyncio.Event()
        self._passing.set()
        self._socket = _bound(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self._accepting: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())

    @property
    def address(self) -> str:
        """`host:port` that clients connect to."""
        return f"{self.host}:{self.port}"

    @property
    def link(self) -> Link:
        """What it does to bytes now."""
        return self._link

    def cut(self) -> None:
        """Drop every connection; refuse new ones, until `mend`."""
        self._run(self._cut())

    def black_hole(self) -> None:
        """Keep connections and take new ones, but let nothing through, as a dead network does.

        After `mend` what was sent meanwhile arrives, as it does when a network comes back.
        """
        self._run(self._black_hole())

    def mend(self) -> None:
        """Let bytes through again, without delay."""
        self._run(self._mend())

    def delay(self, seconds: float) -> None:
        """Hold every chunk, in both directions, for so long; 0 ends it."""
        self._delay = seconds

    def close(self) -> None:
        """Drop everything and stop listening; fine when closed."""
        if self._loop.is_closed():
            return
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS_MAX)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS_MAX)

    async def _listen(self) -> None:
        self._socket.listen(BACKLOG)
        self._accepting = asyncio.create_task(self._accept())

    async def _cut(self) -> None:
        self._link = Link.CUT
        await self._shut()
        # Bound but not listening: the system refuses, and keeps the port for us.
        self._socket = _bound(self.host, self.port)

    async def _black_hole(self) -> None:
        await self._mend()
        self._link = Link.BLACK_HOLE
        self._passing.clear()

    async def _mend(self) -> None:
        self._delay = 0.0
        self._passing.set()
        if self._link is Link.CUT:
            await self._listen()
        self._link = Link.OPEN

    async def _shut(self) -> None:
        ending = [*self._connections, *([self._accepting] if self._accepting is not None else [])]
        self._accepting = None
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._socket.close()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._socket)
            task = asyncio.create_task(self._connect(client))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _connect(self, client: socket.socket) -> None:
        """One connection, until either side ends it."""
        with client, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
            for side in (client, server):
                side.settimeout(0)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await self._passing.wait()
                await self._loop.sock_connect(server, self._target)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pipe(client, server))
                    both.create_task(self._pipe(server, client))
            except* OSError:
                pass

    async def _pipe(self, source: socket.socket, sink: socket.socket) -> None:
        """One direction; ends both by raising `ConnectionError` at the end of the stream."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(HELD_CHUNKS_MAX)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._read(source, held))
            both.create_task(self._write(held, sink))

    async def _read(self, source: socket.socket, held: "asyncio.Queue[tuple[float, bytes]]") -> None:
        while True:
            await self._passing.wait()
            chunk = await self._loop.sock_recv(source, CHUNK_BYTES)
            await held.put((self._loop.time() + self._delay, chunk))
            if not chunk:
                return

    async def _write(self, held: "asyncio.Queue[tuple[float, bytes]]", sink: socket.socket) -> None:
        while True:
            due, chunk = await held.get()
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._passing.wait()
            if not chunk:
                raise ConnectionResetError("the other side closed the connection")
            await self._loop.sock_sendall(sink, chunk)


def _bound(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.settimeout(0)
        opened.bind((host, port))
    except BaseException:
        opened.close()
        raise
    return opened
