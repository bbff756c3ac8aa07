"""A partition log on a file system in memory, for tests that crash, corrupt and reopen it."""

from pathlib import Path
from typing import Any

from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.partition import Appended, PartitionLog
from trunkline.broker.protocol.batch import BatchHeader, split
from trunkline.broker.protocol.records import NewRecord, build, records

NOW_MS = 1_700_000_000_000


def make_batch(*values: bytes, **fields: int) -> bytearray:
    """A batch with these values as a producer sends it; `fields` as for `protocol.records.build`."""
    return build(
        [NewRecord(key=b"tenant", value=value) for value in values], **{"timestamp": NOW_MS, **fields}
    )


class LogDesk:
    """One log, opened and reopened. `options` are those of `LogOptions`; reassign to change them."""

    def __init__(self, **options: Any) -> None:
        self.fs = MemoryFs()
        self.directory = Path("/data/tenant.lifecycle.events-0")
        self.options = LogOptions(**options)
        self.now_ms = NOW_MS
        self.log = self.open()
        self.fs.sync_dir(self.directory.parent)

    def open(self) -> PartitionLog:
        """Open the log as a starting broker does."""
        self.log = PartitionLog.open(self.fs, self.directory, options=self.options, now_ms=self.now_ms)
        return self.log

    def append(self, *values: bytes, **fields: int) -> Appended:
        """Append one batch of these values."""
        return self.log.append(make_batch(*values, **fields), now_ms=self.now_ms)

    def commit(self) -> int:
        """Sync and make visible, as the group commit does."""
        offset = self.log.sync()
        self.log.advance(offset)
        return offset

    def crash(self, *, torn_bytes: int = 0) -> PartitionLog:
        """Lose power and start again."""
        self.fs.crash(torn_bytes=torn_bytes)
        return self.open()

    def headers(self) -> list[BatchHeader]:
        """The headers of everything visible, read as a consumer does."""
        return [header for header, _ in self._batches()]

    def values(self) -> list[bytes | None]:
        """The values of everything visible, in order."""
        return [record.value for _, data in self._batches() for record in records(data)]

    def _batches(self) -> list[tuple[BatchHeader, bytes]]:
        found: list[tuple[BatchHeader, bytes]] = []
        offset = self.log.log_start_offset
        while data := self.log.read(offset, 1000):
            found += [(header, data[start:end]) for header, start, end in split(data)]
            offset = found[-1][0].next_offset
        return found

    def segment_path(self, base_offset: int = 0) -> Path:
        """The file of a segment."""
        return self.directory / f"{base_offset:020}.log"

    def flip_byte(self, position: int, *, base_offset: int = 0, change: int = 0xFF) -> None:
        """Change one byte of a segment behind the log's back."""
        content = self.fs.read(self.segment_path(base_offset))
        assert content is not None, "there is no such segment"
        self.fs.corrupt(self.segment_path(base_offset), position, bytes([content[position] ^ change]))
