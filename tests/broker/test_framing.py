"""Frames come out whole and in order however the stream was cut, and a lying prefix costs nothing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.broker.framing import FRAME_BYTES_MIN, BadFrame, FrameReader, NoRoom, Room


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def feed(reader: FrameReader, stream: bytes, piece_bytes: int) -> list[bytes]:
    frames = []
    while stream:
        room = reader.writable()
        taken = min(len(room), piece_bytes, len(stream))
        room[:taken] = stream[:taken]
        del room  # a frame grows only when nobody looks at it
        reader.written(taken)
        stream = stream[taken:]
        while (frame := reader.take()) is not None:
            frames.append(bytes(frame))
    return frames


@given(
    st.lists(st.binary(min_size=FRAME_BYTES_MIN, max_size=300), max_size=20),
    st.integers(1, 400),
    st.integers(16, 128),
)
def test_frames_come_out_as_they_were_put_in(
    bodies: list[bytes], piece_bytes: int, scratch_bytes: int
) -> None:
    reader = FrameReader(memoryview(bytearray(scratch_bytes)))
    assert feed(reader, b"".join(map(framed, bodies)), piece_bytes) == bodies
    assert not reader.within_frame


def test_a_frame_keeps_its_bytes_when_later_ones_arrive() -> None:
    scratch = memoryview(bytearray(64))
    reader = FrameReader(scratch)
    first = framed(b"a" * 20)
    scratch[: len(first)] = first
    reader.written(len(first))
    kept = reader.take()
    feed(reader, framed(b"b" * 20), 64)
    assert kept is not None
    assert bytes(kept) == b"a" * 20


def test_frames_wait_while_nobody_takes_them() -> None:
    scratch = memoryview(bytearray(64))
    reader = FrameReader(scratch)
    for body in (b"a" * 10, b"b" * 10):
        stream = framed(body)
        scratch[: len(stream)] = stream
        reader.written(len(stream))
    assert [bytes(reader.take() or b""), bytes(reader.take() or b"")] == [b"a" * 10, b"b" * 10]
    assert reader.take() is None


def test_a_big_length_alone_allocates_little() -> None:
    reader = FrameReader(memoryview(bytearray(64)))
    assert feed(reader, struct.pack(">i", 90_000_000) + b"x" * 40, 64) == []
    assert reader.within_frame
    assert len(reader.writable()) < 100_000


@pytest.mark.parametrize("size", [-1, 0, FRAME_BYTES_MIN - 1, 101, 0x47455420])
def test_a_length_that_no_request_has_is_refused(size: int) -> None:
    reader = FrameReader(memoryview(bytearray(64)), frame_bytes_max=100)
    with pytest.raises(BadFrame, match=str(size)):
        feed(reader, struct.pack(">i", size), 64)


def test_unfinished_frames_share_their_room() -> None:
    room = Room(300_000)
    first = FrameReader(memoryview(bytearray(64)), room=room)
    second = FrameReader(memoryview(bytearray(64)), room=room)
    feed(first, struct.pack(">i", 1_000_000) + bytes(150_000), 50_000)
    with pytest.raises(NoRoom):
        feed(second, struct.pack(">i", 1_000_000) + bytes(150_000), 50_000)
    first.discard()
    assert len(feed(FrameReader(memoryview(bytearray(64)), room=room), framed(bytes(200_000)), 50_000)) == 1


def test_a_complete_frame_gives_its_room_back() -> None:
    reader = FrameReader(memoryview(bytearray(64)), room=Room(100_000))
    assert len(feed(reader, framed(bytes(90_000)) * 5, 50_000)) == 5
