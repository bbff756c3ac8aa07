"""How a partition log gets onto the device: what a sync has to cover, and what rides along with it.

The loop notes what it wrote; `sync`, on a worker thread, takes the notes, syncs those files and leaves a
mark of how far it got, which the loop then makes visible. The lock covers the notes and is never held while
the device works.

Work that takes time but that nobody waits for (checkpoint, index files, deleting old segments) is done after
the syncs. None of it is needed to be correct: without it a restart scans more, rebuilds an index or keeps a
file longer.
"""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from trunkline.broker.log.checkpoint import Checkpoint, write_checkpoint
from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.fs import Fs
from trunkline.broker.log.segment import Segment


class Mark(NamedTuple):
    """A state of the log: it ends before `offset`, which is byte `position` of `segment`."""

    offset: int
    segment: Segment
    position: int


class _Chores(NamedTuple):
    """Work that rides along with one sync. Its segments were covered by that sync; nobody writes to them."""

    checkpoint: Checkpoint
    active: Segment
    finished: list[Segment]
    condemned: list[Segment]


class Flusher:
    """The durable side of one partition log. `mark` and `checkpoint` tell its state and run under `lock`."""

    def __init__(
        self,
        fs: Fs,
        directory: Path,
        *,
        mark: Callable[[], Mark],
        checkpoint: Callable[[Mark], Checkpoint],
        durable_start: int,
    ) -> None:
        self.lock = Lock()
        self.stopped: str | None = None
        self.durable_start = durable_start
        """The log start offset that the next open will find."""
        self._fs = fs
        self._directory = directory
        self._mark = mark
        self._checkpoint = checkpoint
        self._syncing = Lock()
        self._marks: deque[Mark] = deque()
        self._dirty: list[Segment] = []
        self._names_changed = True
        self._checkpoint_wanted = False
        self._bytes_since_checkpoint = 0
        self._finished: list[Segment] = []
        self._condemned: list[Segment] = []

    # Notes of the loop; `wrote` under the lock that its caller holds for the write.

    def wrote(self, segment: Segment, size: int) -> None:
        """Bytes were appended to a segment."""
        self._bytes_since_checkpoint += size
        if not segment.dirty:
            segment.dirty = True
            self._dirty.append(segment)

    def rolled(self, finished: Segment) -> None:
        """A segment was finished and a new one created."""
        self._finished.append(finished)
        self._names_changed = True
        self._checkpoint_wanted = True

    def condemn(self, segment: Segment) -> None:
        """This segment is to be deleted, once a checkpoint says that the log starts after it."""
        self._condemned.append(segment)
        self._checkpoint_wanted = True

    def want_checkpoint(self) -> None:
        """The next sync writes a checkpoint."""
        self._checkpoint_wanted = True

    def checkpoint_if_changed(self) -> bool:
        """Want a checkpoint if one would say anything new; whether it would."""
        self._checkpoint_wanted = self._checkpoint_wanted or self._bytes_since_checkpoint > 0
        return self._checkpoint_wanted

    def take_mark(self, offset: int) -> Mark | None:
        """The last synced state that does not reach beyond `offset`; forgets it and those before."""
        mark = None
        while self._marks and self._marks[0].offset <= offset:
            mark = self._marks.popleft()
        return mark

    # The worker thread

    def sync(self, *, checkpoint_interval_bytes: int) -> int:
        """See `PartitionLog.sync`."""
        with self._syncing:
            with self.lock:
                if self.stopped:
                    raise LogStopped(self.stopped)
                mark = self._mark()
                dirty, self._dirty = self._dirty, []
                for segment in dirty:
                    segment.dirty = False
                names_changed, self._names_changed = self._names_changed, False
                chores = None
                if self._checkpoint_wanted or self._bytes_since_checkpoint >= checkpoint_interval_bytes:
                    chores = self._take_chores(mark)
            self._flush(dirty, names_changed=names_changed)
            with self.lock:
                self._marks.append(mark)
            if chores is not None:
                self._housekeep(chores)
            return mark.offset

    def _take_chores(self, mark: Mark) -> _Chores:
        """What there is to do now. What is noted from here on may be unsynced, and is for the next time."""
        finished, self._finished = self._finished, []
        condemned, self._condemned = self._condemned, []
        self._checkpoint_wanted = False
        self._bytes_since_checkpoint = 0
        return _Chores(self._checkpoint(mark), mark.segment, finished, condemned)

    def _flush(self, dirty: Sequence[Segment], *, names_changed: bool) -> None:
        try:
            for segment in dirty:
                segment.file.sync()
            if names_changed:
                self._fs.sync_dir(self._directory)
        except OSError as error:
            self.stopped = f"{error}; the partition takes no more records until the broker is restarted"
            raise LogStopped(self.stopped) from error

    def _housekeep(self, chores: _Chores) -> None:
        try:
            # A finished segment's index must be whole before the checkpoint says that it can be believed.
            while chores.finished:
                chores.finished[-1].finish_index()
                chores.finished.pop()
            write_checkpoint(self._fs, self._directory, chores.checkpoint)
            self.durable_start = chores.checkpoint.log_start_offset
            chores.active.persist_index()
            while chores.condemned:
                chores.condemned[-1].remove()
                chores.condemned.pop()
        except OSError:
            with self.lock:
                self._finished += chores.finished
                self._condemned += chores.condemned
                self._checkpoint_wanted = True

    def stop(self, reason: str) -> None:
        """Wait for a running sync; every later one is refused."""
        with self._syncing:
            self.stopped = reason
