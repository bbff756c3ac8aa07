"""Which finished segments of a log keep their file open and their index in memory: those read last.

A month of records can be thousands of segments, of which readers want the last few at any time. Everything
here runs on the loop; the sync thread has no business with a finished segment.
"""

from collections.abc import Iterable

from trunkline.broker.log.segment import Segment

OLD_SEGMENTS_OPEN = 8


class OldSegments:
    """The finished segments of one partition that were read last."""

    __slots__ = ("_recent",)

    def __init__(self) -> None:
        # By base offset, the one read last at the end.
        self._recent: dict[int, Segment] = {}

    def read(self, segment: Segment) -> None:
        """An old segment was read; the one that was not for longest is released."""
        self._recent.pop(segment.base_offset, None)
        self._recent[segment.base_offset] = segment
        if len(self._recent) > OLD_SEGMENTS_OPEN:
            oldest = self._recent.pop(next(iter(self._recent)))
            if oldest.finished:
                oldest.release()

    def forget(self, segment: Segment) -> None:
        """A segment is about to be deleted by the sync thread."""
        self._recent.pop(segment.base_offset, None)

    def release_unread(self, segments: Iterable[Segment]) -> None:
        """Release those of `segments` that are not among the last to be read."""
        for segment in segments:
            if segment.finished and segment.base_offset not in self._recent:
                segment.release()
