"""Cuts the byte stream of one connection into frames, without I/O.

The server asks where the next bytes go and says how many came. A frame is a big-endian int32 length and that
many bytes. Small frames are views of the block they arrived in; a frame that arrives in pieces is received
straight into memory of its own. Memory is never reused, so whoever is given a frame may keep it.
"""

import struct
from typing import Final

FRAME_BYTES_MAX: Final = 100 * 1024 * 1024
"""Kafka's default of `socket.request.max.bytes`."""

ROOM_BYTES: Final = 256 * 1024 * 1024
"""Two of the largest frames, or a thousand producers in the middle of a usual one."""

FRAME_BYTES_MIN: Final = 8
"""API key, version and correlation id: no request is shorter."""

_SIZE: Final = struct.Struct(">i")
_FIRST_ALLOCATION_BYTES: Final = 64 * 1024


class BadFrame(Exception):  # noqa: N818 - named for what the peer sent
    """The peer does not speak the Kafka protocol; the rest of its stream means nothing."""


class NoRoom(Exception):  # noqa: N818 - reads as what it is
    """All connections together hold as much of unfinished frames as they may."""


class Room:
    """The memory that all connections of a broker share for frames that are not complete."""

    __slots__ = ("_free_bytes",)

    def __init__(self, nbytes: int = ROOM_BYTES) -> None:
        self._free_bytes = nbytes

    def take(self, nbytes: int) -> None:
        """Claim memory before it is allocated. Raises `NoRoom`."""
        if nbytes > self._free_bytes:
            raise NoRoom(f"no room for {nbytes} more bytes of requests that are still coming in")
        self._free_bytes -= nbytes

    def give_back(self, nbytes: int) -> None:
        """The memory is free, or somebody else's business."""
        self._free_bytes += nbytes


class FrameReader:
    """One connection's receiving side.

    Call `writable`, put bytes there, call `written`, then take frames with `take` until it returns None. A
    length prefix alone allocates little: memory follows the bytes that really came, except up to a size that
    this connection has filled before.
    """

    __slots__ = (
        "_block",
        "_filled",
        "_frame",
        "_frame_bytes_max",
        "_proven",
        "_room",
        "_scratch",
        "_size",
        "_start",
        "_taken_bytes",
    )

    def __init__(
        self, scratch: memoryview, *, room: Room | None = None, frame_bytes_max: int = FRAME_BYTES_MAX
    ) -> None:
        """`scratch` is only used between `writable` and `written`, so all connections of a loop share one."""
        self._scratch = scratch
        self._room = room or Room()
        self._taken_bytes = 0
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
            frame.extend(bytes(self._taken_bytes - self._filled))
        return memoryview(frame)[self._filled :]

    def written(self, nbytes: int) -> None:
        """`nbytes` were put into what `writable` returned last. Raises `NoRoom`."""
        if self._frame is not None and self._filled < self._size:
            self._filled += nbytes
            if self._filled == self._taken_bytes < self._size:
                self._claim(min(self._size, 2 * self._filled))
            return
        came = self._scratch[:nbytes]
        if self._start < len(self._block):
            self._block = memoryview(bytearray(b"".join((self._block[self._start :], came))))
        else:
            self._block = memoryview(bytearray(came))
        self._start = 0

    def take(self) -> memoryview | None:
        """The next complete frame without its length prefix, or None. Raises `BadFrame` and `NoRoom`."""
        if self._frame is not None:
            if self._filled < self._size:
                return None
            frame, self._frame = memoryview(self._frame), None
            self._proven = max(self._proven, self._size)
            self.discard()
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

    def discard(self) -> None:
        """Give up the shared memory that an unfinished frame holds; the connection is gone."""
        self._room.give_back(self._taken_bytes)
        self._taken_bytes = 0

    def _claim(self, nbytes: int) -> None:
        self._room.take(nbytes - self._taken_bytes)
        self._taken_bytes = nbytes

    def _begin(self, size: int, head: memoryview) -> None:
        self._claim(min(size, max(self._proven, 2 * len(head))))
        frame = bytearray(self._taken_bytes)
        frame[: len(head)] = head
        self._frame, self._size, self._filled = frame, size, len(head)
        self._block = memoryview(b"")
        self._start = 0
