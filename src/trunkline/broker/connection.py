"""One client's connection: frames in, answers out and in order, over any asyncio transport.

What a client costs is bounded: unanswered requests, bytes it does not read, time it says nothing. Requests
are carried out one after the other; the next one waits for the answer of the last unless that one is
pipelined.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from trunkline.broker.complaints import Complaints
from trunkline.broker.exchange import Chunks, CloseConnection, Deferred, Dispatcher, Session
from trunkline.broker.framing import FRAME_BYTES_MAX, ROOM_BYTES, BadFrame, FrameReader, NoRoom, Room

PIPELINE_MAX: Final = 64
"""Unanswered requests of one connection, beyond which it is not read."""

WRITE_BUFFER_HIGH_BYTES: Final = 1024 * 1024
"""What a reader may leave unread before its connection is not served further."""

COALESCE_BYTES: Final = 32 * 1024
"""Chunks shorter than this are joined with their neighbours: a copy is cheaper than a system call."""

FLUSH_BYTES: Final = 64 * 1024
"""Answers are held back for others of the same turn of the loop, up to this much."""

log = logging.getLogger("trunkline.broker.connection")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one broker grants its peers."""

    connections_max: int = 2000
    frame_bytes_max: int = FRAME_BYTES_MAX
    room_bytes: int = ROOM_BYTES
    """What all connections together may hold of requests that are still coming in."""
    idle_s: float = 600.0
    """A connection without traffic for so long is closed; Kafka's `connections.max.idle.ms`."""
    stall_s: float = 30.0
    """A peer that stops in the middle of a frame, or never sends a first one, is closed."""


DEFAULT_LIMITS: Final = Limits()


class Owner(Protocol):
    """The server, as its connections know it."""

    complaints: Complaints
    dispatcher: Dispatcher
    limits: Limits
    loop: asyncio.AbstractEventLoop
    room: Room
    scratch: memoryview

    def admit(self, connection: "Connection") -> bool:
        """Count a new connection in, unless there are too many."""

    def forget(self, connection: "Connection") -> None:
        """A connection is gone."""


class _Slot:
    """The place of one unanswered request in its connection's order of answers."""

    __slots__ = ("chunks", "deferred")

    def __init__(self, *, deferred: Deferred | None = None, chunks: Chunks | None = None) -> None:
        self.deferred = deferred
        self.chunks = chunks


class Connection(asyncio.BufferedProtocol):
    """One client connection."""

    __slots__ = (
        "_answers",
        "_closing",
        "_flushing",
        "_last_traffic_s",
        "_loop",
        "_muted",
        "_out",
        "_out_bytes",
        "_owner",
        "_reader",
        "_reading",
        "_served",
        "_serving",
        "_session",
        "_transport",
        "_writable",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = owner.loop
        self._reader = FrameReader(
            owner.scratch, room=owner.room, frame_bytes_max=owner.limits.frame_bytes_max
        )
        self._answers: deque[_Slot] = deque()
        self._out: list[bytes | bytearray | memoryview] = []
        self._out_bytes = 0
        self._session = Session(peer="?")
        self._muted = False
        """A request is carried out whose answer the next one has to wait for."""
        self._writable = True
        self._reading = True
        self._serving = False
        self._flushing = False
        self._closing = False
        self._served = False
        self._last_traffic_s = self._loop.time()

    # -- asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_HIGH_BYTES)
        peer = self._transport.get_extra_info("peername")
        self._session.peer = f"{peer[0]}:{peer[1]}" if peer else "?"
        if not self._owner.admit(self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._closing = True
        answers = tuple(self._answers)
        self._answers.clear()
        self._out.clear()
        self._reader.discard()
        for slot in answers:
            if slot.deferred is not None:
                slot.deferred.value.abandon()
        self._owner.forget(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._reader.writable()

    def buffer_updated(self, nbytes: int) -> None:
        self._last_traffic_s = self._loop.time()
        try:
            self._reader.written(nbytes)
        except NoRoom as problem:
            self._refuse(problem)
            return
        if self._blocked():
            self._pause()
        else:
            self._serve()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._last_traffic_s = self._loop.time()
        self._serve()

    # -- requests

    def _blocked(self) -> bool:
        return self._muted or not self._writable or self._closing or len(self._answers) >= PIPELINE_MAX

    def _pause(self) -> None:
        if self._reading and not self._closing:
            self._reading = False
            self._transport.pause_reading()

    def _serve(self) -> None:
        """Carry out the frames that are here, as far as the connection's limits let it."""
        if self._serving:
            return
        self._serving = True
        try:
            while not self._blocked():
                frame = self._reader.take()
                if frame is None:
                    break
                self._request(frame)
        except (BadFrame, NoRoom, CloseConnection) as problem:
            self._refuse(problem)
        except Exception:  # noqa: BLE001 - a bug costs one connection, not the broker
            self._fail()
        finally:
            self._serving = False
        self._flush()
        if not self._reading and not self._blocked():
            self._reading = True
            self._transport.resume_reading()

    def _request(self, frame: memoryview) -> None:
        answer = self._owner.dispatcher.dispatch(frame, self._session)
        self._served = True
        if answer is None:
            return
        if isinstance(answer, Deferred):
            slot = _Slot(deferred=answer)
            self._answers.append(slot)
            self._muted = not answer.pipelined
            answer.value.then(lambda value: self._answered(slot, answer, value))
        elif self._answers:
            self._answers.append(_Slot(chunks=answer))
        else:
            self._write(answer)

    def _answered(self, slot: _Slot, deferred: Deferred, value: Any) -> None:
        """A deferred answer is there. Nothing may escape to whoever found it: others wait there too."""
        try:
            slot.chunks = deferred.encode(value)
        except Exception:  # noqa: BLE001 - as above
            self._fail()
            return
        if not deferred.pipelined:
            self._muted = False
        answers = self._answers
        while answers and (chunks := answers[0].chunks) is not None:
            answers.popleft()
            self._write(chunks)
        if not self._closing:
            self._serve_soon()
        elif not answers:
            self._flush()
            self._transport.close()

    def _refuse(self, problem: Exception) -> None:
        self._owner.complaints.say("closed %s: %s", self._session.peer, problem)
        self.close()

    def _fail(self) -> None:
        log.exception("closed %s: a request failed in a way that nobody foresaw", self._session.peer)
        self.close()

    # -- answers

    def _write(self, chunks: Chunks) -> None:
        self._out.extend(chunks)
        self._out_bytes += sum(map(len, chunks))
        if self._out_bytes >= FLUSH_BYTES:
            self._flush()

    def _serve_soon(self) -> None:
        """Flush and go on serving once everyone who is answered in this turn of the loop has been."""
        if not self._serving and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._flushing = False
        self._serve()

    def _flush(self) -> None:
        if not self._out:
            return
        self._last_traffic_s = self._loop.time()
        out, self._out, self._out_bytes = self._out, [], 0
        small: list[bytes | bytearray | memoryview] = []
        for chunk in out:
            if len(chunk) < COALESCE_BYTES:
                small.append(chunk)
                continue
            if small:
                self._transport.write(b"".join(small))
                small.clear()
            self._transport.write(chunk)
        if small:
            self._transport.write(b"".join(small))

    # -- the server's side

    def close(self, *, finish: bool = False) -> None:
        """Read no more and close; `finish` waits for the answers that are owed first."""
        if self._closing:
            return
        self._pause()
        self._closing = True
        if not (finish and self._answers):
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close without waiting for the peer to take what was written."""
        self._closing = True
        self._transport.abort()

    def idle(self, now_s: float) -> str | None:
        """Why this connection is not worth its place any more, or None."""
        limits = self._owner.limits
        quiet_s = now_s - self._last_traffic_s
        if not self._writable or self._answers:
            return f"it took no answer for {quiet_s:.0f} s" if quiet_s > limits.idle_s else None
        if quiet_s > limits.stall_s and (self._reader.within_frame or not self._served):
            return f"it sent no complete request for {quiet_s:.0f} s"
        return f"it was idle for {quiet_s:.0f} s" if quiet_s > limits.idle_s else None
