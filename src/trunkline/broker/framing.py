"""Cuts the byte stream of one connection into frames, without I/O.

The server asks where the next bytes go and says how many came. A frame is a big-endian int32 length and that
many bytes. Small frames are views of the block they arrived in; a frame that arrives in pieces is received
straight into memory of its own. Memory is never reused, so whoever is given a frame may keep it.
"""

import struct
from typing import Final

FRAME_BYTES_MAX: Final = 100 * 1024 * 1024
"""Kafka's default of `socket.request.max.bytes`."""

FRAME_BYTES_MIN: Final = 8
"""API key, version and correlation id: no request is shorter."""

_SIZE: Final = struct.Struct(">i")
_FIRST_ALLOCATION_BYTES: Final = 64 * 1024


class BadFrame(Exception):  # noqa: N818 - named for what the peer sent
    """The peer does not speak the Kafka protocol; the rest of its stream means nothing."""


class FrameReader:
    """One connection's receiving side.

    Call `writable`, put bytes there, call `written`, then take frames with `take` until it returns None. A
    length prefix alone allocates little: memory follows the bytes that really came, except up to a size that
    this connection has filled before.
    """

    __slots__ = ("_block", "_filled", "_frame", "_frame_bytes_max", "_proven", "_scratch", "_size", "_start")

    def __init__(self, scratch: memoryview, *, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        """`scratch` is only used between `writable` and `written`, so all connections of a loop share one."""
        self._scratch = scratch
        self._frame_bytes_max = frame_bytes_max
        self._block = memoryview(b"")
        self._start = 0
        self._frame: bytearray | None = None
        self._size = 0
        self._filled = 0
        self._proven = _FIRST_ALLOCATION_BYTES

    @property
    def within_frame(self) -> bool:
        """Bytes of a frame have come that is not complete."""
        return self._frame is not None or self._start < len(self._block)

    def writable(self) -> memoryview:
        """Where the next bytes of the stream go. Not empty; valid until `written`."""
        frame = self._frame
        if frame is None or self._filled == self._size:
            return self._scratch
        if self._filled == len(frame):
            frame.extend(bytes(min(self._size, 2 * self._filled) - self._filled))
        return memoryview(frame)[self._filled :]

    def written(self, nbytes: int) -> None:
        """`nbytes` were put into what `writable` returned last."""
        if self._frame is not None and self._filled < self._size:
            self._filled += nbytes
            return
        came = self._scratch[:nbytes]
        if self._start < len(self._block):
            self._block = memoryview(bytearray(b"".join((self._block[self._start :], came))))
        else:
            self._block = memoryview(bytearray(came))
        self._start = 0

    def take(self) -> memoryview | None:
        """The next complete frame without its length prefix, or None. Raises `BadFrame`."""
        if self._frame is not None:
            if self._filled < self._size:
                return None
            frame, self._frame = memoryview(self._frame), None
            self._proven = max(self._proven, self._size)
            return frame
        body = self._start + _SIZE.size
        if body > len(self._block):
            return None
        (size,) = _SIZE.unpack_from(self._block, self._start)
        if not FRAME_BYTES_MIN <= size <= self._frame_bytes_max:
            raise BadFrame(
                f"a frame of {size} bytes; {FRAME_BYTES_MIN} to {self._frame_bytes_max} are accepted"
            )
        if body + size <= len(self._block):
            self._start = body + size
            return self._block[body : body + size]
        self._begin(size, self._block[body:])
        return None

    def _begin(self, size: int, head: memoryview) -> None:
        frame = bytearray(min(size, max(self._proven, 2 * len(head))))
        frame[: len(head)] = head
        self._frame, self._size, self._filled = frame, size, len(head)
        self._block = memoryview(b"")
        self._start = 0
