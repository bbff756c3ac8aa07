"""Old segments that nobody reads hold nothing."""

from pathlib import Path

from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.log.old_segments import OLD_SEGMENTS_OPEN, OldSegments
from trunkline.broker.log.segment import Segment


class CountedSegment(Segment):
    released = 0

    def release(self) -> None:
        super().release()
        self.released += 1


def finished(count: int) -> list[CountedSegment]:
    fs = MemoryFs()
    fs.mkdir(Path("/log"))
    segments = [CountedSegment(fs, Path("/log"), base, created_ms=0) for base in range(count)]
    for segment in segments:
        segment.finished = True
    return segments


def test_the_one_not_read_for_longest_is_released() -> None:
    segments = finished(OLD_SEGMENTS_OPEN + 2)
    old = OldSegments()
    for segment in segments[:-1]:
        old.read(segment)
    old.read(segments[1])
    old.read(segments[-1])
    assert [segment.released for segment in segments[:4]] == [1, 0, 1, 0]


def test_only_those_not_read_lately_are_released_together() -> None:
    segments = finished(4)
    old = OldSegments()
    old.read(segments[2])
    segments[3].finished = False
    old.release_unread(segments)
    assert [segment.released for segment in segments] == [1, 1, 0, 0]


def test_a_segment_about_to_be_deleted_is_not_touched_any_more() -> None:
    segments = finished(OLD_SEGMENTS_OPEN + 1)
    old = OldSegments()
    for segment in segments[:-1]:
        old.read(segment)
    old.forget(segments[0])
    old.read(segments[-1])
    assert not any(segment.released for segment in segments)
