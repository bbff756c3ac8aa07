"""The sockets of the broker: connections, framing, answers in order, limits, back-pressure, clean stop.

The only file with sockets. It moves frames and answers; what they mean is the dispatcher's business.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from trunkline.broker.exchange import Chunks, CloseConnection, Deferred, Dispatcher, Session
from trunkline.broker.framing import FRAME_BYTES_MAX, BadFrame, FrameReader
from trunkline.errors import Unavailable

PIPELINE_MAX: Final = 64
"""Unanswered requests of one connection, beyond which it is not read."""

WRITE_BUFFER_HIGH_BYTES: Final = 1024 * 1024
"""What a reader may leave unread before its connection is not served further."""

COALESCE_BYTES: Final = 32 * 1024
"""Chunks shorter than this are joined with their neighbours: a copy is cheaper than a system call."""

SCRATCH_BYTES: Final = 64 * 1024
LISTEN_BACKLOG: Final = 512
SWEEP_S: Final = 5.0
LOG_INTERVAL_S: Final = 10.0

log = logging.getLogger("trunkline.broker.server")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one broker grants its peers."""

    connections_max: int = 2000
    frame_bytes_max: int = FRAME_BYTES_MAX
    idle_s: float = 600.0
    """A connection without traffic for so long is closed; Kafka's `connections.max.idle.ms`."""
    stall_s: float = 30.0
    """A peer that stops in the middle of a frame, or never sends a first one, is closed."""


class _Slot:
    """The place of one unanswered request in its connection's order of answers."""

    __slots__ = ("chunks", "deferred", "ready")

    def __init__(self, deferred: Deferred | None, chunks: Chunks | None) -> None:
        self.deferred = deferred
        self.chunks = chunks
        self.ready = deferred is None


class Connection(asyncio.BufferedProtocol):
    """One client connection."""

    __slots__ = (
        "_answers",
        "_closing",
        "_draining",
        "_last_traffic_s",
        "_muted",
        "_reader",
        "_reading",
        "_served",
        "_server",
        "_session",
        "_transport",
        "_writable",
    )

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._reader = FrameReader(server.scratch, frame_bytes_max=server.limits.frame_bytes_max)
        self._answers: deque[_Slot] = deque()
        self._session = Session(peer="?")
        self._muted = False
        self._writable = True
        self._reading = True
        self._draining = False
        self._closing = False
        self._served = False
        self._last_traffic_s = server.now_s()

    # -- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_HIGH_BYTES)
        peer = self._transport.get_extra_info("peername")
        self._session.peer = f"{peer[0]}:{peer[1]}" if peer else "?"
        if not self._server.admit(self):
            self._closing = True
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._closing = True
        for slot in self._answers:
            if slot.deferred is not None:
                slot.deferred.answer.abandon()
        self._answers.clear()
        self._server.forget(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._reader.writable()

    def buffer_updated(self, nbytes: int) -> None:
        self._last_traffic_s = self._server.now_s()
        self._reader.written(nbytes)
        if self._blocked:
            self._pause()
        else:
            self._serve()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._last_traffic_s = self._server.now_s()
        self._serve()

    # -- requests

    @property
    def _blocked(self) -> bool:
        return self._muted or not self._writable or self._closing or len(self._answers) >= PIPELINE_MAX

    def _pause(self) -> None:
        if self._reading and not self._closing:
            self._reading = False
            self._transport.pause_reading()

    def _serve(self) -> None:
        """Carry out the frames that are here, as far as the connection's limits let it."""
        if self._draining:
            return
        self._draining = True
        try:
            while not self._blocked:
                frame = self._reader.take()
                if frame is None:
                    break
                self._request(frame)
        except (BadFrame, CloseConnection) as problem:
            self._server.complain("closed %s: %s", self._session.peer, problem)
            self.close()
        except Exception:
            log.exception("closed %s: a request failed in a way that nobody foresaw", self._session.peer)
            self.close()
        finally:
            self._draining = False
        if not self._reading and not self._blocked:
            self._reading = True
            self._transport.resume_reading()

    def _request(self, frame: memoryview) -> None:
        answer = self._server.dispatcher.dispatch(frame, self._session)
        self._served = True
        if answer is None:
            return
        if isinstance(answer, Deferred):
            slot = _Slot(answer, None)
            self._answers.append(slot)
            self._muted = not answer.pipelined
            answer.answer.then(lambda chunks: self._answered(slot, chunks))
        elif self._answers:
            self._answers.append(_Slot(None, answer))
        else:
            self._write(answer)

    def _answered(self, slot: _Slot, chunks: Chunks) -> None:
        slot.chunks, slot.ready = chunks, True
        if slot.deferred is not None and not slot.deferred.pipelined:
            self._muted = False
        answers = self._answers
        while answers and answers[0].ready:
            ready = answers.popleft().chunks
            if ready is not None:
                self._write(ready)
        if self._closing:
            if not answers:
                self._transport.close()
        else:
            self._serve()

    def _write(self, chunks: Chunks) -> None:
        self._last_traffic_s = self._server.now_s()
        small: list[bytes | bytearray | memoryview] = []
        write = self._transport.write
        for chunk in chunks:
            if len(chunk) < COALESCE_BYTES:
                small.append(chunk)
                continue
            if small:
                write(b"".join(small))
                small.clear()
            write(chunk)
        if small:
            write(b"".join(small))

    # -- the server's side

    def close(self, *, finish: bool = False) -> None:
        """Read no more and close; `finish` waits for the answers that are owed first."""
        if self._closing:
            return
        self._pause()
        self._closing = True
        if not (finish and self._answers):
            self._transport.close()

    def abort(self) -> None:
        """Close without waiting for the peer to take what was written."""
        self._closing = True
        self._transport.abort()

    def idle(self, now_s: float, limits: Limits) -> str | None:
        """Why this connection is not worth its place any more, or None."""
        quiet_s = now_s - self._last_traffic_s
        if not self._writable or self._answers:
            return f"it took no answer for {quiet_s:.0f} s" if quiet_s > limits.idle_s else None
        if quiet_s > limits.stall_s and (self._reader.within_frame or not self._served):
            return f"it sent no complete request for {quiet_s:.0f} s"
        return f"it was idle for {quiet_s:.0f} s" if quiet_s > limits.idle_s else None


class Server:
    """Accepts connections until it is stopped."""

    def __init__(self, dispatcher: Dispatcher, *, limits: Limits = Limits()) -> None:
        self.dispatcher = dispatcher
        self.limits = limits
        self.scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.port = 0
        self._complained_s = float("-inf")
        self._withheld = 0
        self.now_s: Callable[[], float] = asyncio.get_running_loop().time

    async def listen(self, host: str, port: int) -> int:
        """Start accepting; returns the port, which the system chooses when `port` is 0.

        Raises `Unavailable` when the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._listener = await loop.create_server(
                lambda: Connection(self), host, port, backlog=LISTEN_BACKLOG, reuse_address=True
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unavailable(
                f"cannot listen on {host}:{port}: {reason}; stop what uses it or choose another --port"
            ) from error
        self._sweeper = loop.call_later(SWEEP_S, self.sweep)
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
            self.complain("refused a connection: all %d are taken", self.limits.connections_max)
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    def complain(self, message: str, *arguments: object) -> None:
        """Log what a peer did wrong, at most once in `LOG_INTERVAL_S`: a port scan must not fill a disk."""
        now_s = self.now_s()
        if now_s - self._complained_s < LOG_INTERVAL_S:
            self._withheld += 1
            return
        withheld = f" (and {self._withheld} more since)" if self._withheld else ""
        self._complained_s, self._withheld = now_s, 0
        log.warning(message + withheld, *arguments)

    def sweep(self) -> None:
        """Close the connections that are not worth their place; runs by itself every `SWEEP_S`."""
        now_s = self.now_s()
        for connection in tuple(self._connections):
            reason = connection.idle(now_s, self.limits)
            if reason is not None:
                log.info("closed a connection: %s", reason)
                connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_S, self.sweep)
