"""The file system as the log needs it, and the operating system's implementation.

The model that implementations obey, and on which recovery rests:

- `File.append` is all or nothing while the process lives: when the device refuses part of it, the file is
  cut back to its former size before the error is raised.
- What is appended is readable at once, but survives a crash only once `File.sync` has returned. A crash may
  keep any prefix of the bytes appended since the last sync (a torn tail).
- A failed `sync` is final for the file: the kernel may have dropped the dirty pages and called them clean,
  so a second, successful sync proves nothing. Callers stop; they never retry.
- A created, renamed or removed name survives a crash only once `Fs.sync_dir` of its directory has returned.

`memory_fs.MemoryFs` is that model without a device. It forgets on `crash()` whatever the model does not
promise and injects faults, so crash tests need neither a disk nor a killed process. Operations that the loop
and the sync thread may run at the same time (append and pread against sync) are safe in both.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

LOCK_HOLDER_BYTES_MAX = 64
"""A lock file names its holder; a process id fits many times over."""


class FsError(OSError):
    """The device refused an operation; the text names the operation, the file and the reason."""

    def __init__(self, operation: str, path: Path, reason: object) -> None:
        super().__init__(f"cannot {operation} {path}: {reason}")
        why = f": {reason}" if isinstance(reason, str) else ""
        self.told = f"the broker cannot {operation} its files{why}"
        """What a client may know of it: no path of this machine."""


class DiskFull(FsError):  # noqa: N818 - reads as what it is
    """No space, or a quota or size limit was reached; the same operation works again once there is room."""


class Locked(Exception):  # noqa: N818 - reads as what it is
    """Another holder has the lock; `holder` is what it wrote about itself."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is locked by {holder or 'an unknown process'}")
        self.holder = holder


class File(Protocol):
    """An append-only file, open for reading and writing."""

    @property
    def size(self) -> int:
        """The length in bytes, unsynced bytes included."""

    def append(self, data: Buffer) -> None:
        """Add `data` at the end, whole or not at all. Raises `DiskFull` or `FsError`."""

    def pread(self, size: int, position: int) -> bytes:
        """Up to `size` bytes from `position`; shorter only at the end of the file."""

    def sync(self) -> None:
        """Return when all bytes appended before survive a crash. After an `FsError` never call again."""

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes; durable after the next `sync`."""

    def close(self) -> None:
        """Release the file; closing twice is allowed."""


class Lock(Protocol):
    """An exclusive lock that ends with the process at the latest."""

    def release(self) -> None:
        """Give the lock up; releasing twice is allowed."""


class Fs(Protocol):
    """Names and directories. Every operation raises `FsError` (or `DiskFull`) when the device refuses it."""

    def open(self, path: Path) -> File:
        """Open a file for append and read; created when missing."""

    def read(self, path: Path) -> bytes | None:
        """The whole content, or None when there is no such file. For small files."""

    def listdir(self, path: Path) -> list[str]:
        """The names in a directory, sorted."""

    def exists(self, path: Path) -> bool:
        """Whether a file or directory has this name."""

    def mkdir(self, path: Path) -> None:
        """Create a directory and its missing parents; an existing one is left as it is."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename atomically, replacing a file at `target`."""

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is not an error."""

    def rmdir(self, path: Path) -> None:
        """Remove an empty directory; a missing one is not an error."""

    def sync_dir(self, path: Path) -> None:
        """Return when the names in this directory survive a crash."""

    def lock(self, path: Path, *, holder: str) -> Lock:
        """Take an exclusive lock on a file and write `holder` into it. Raises `Locked`."""


def replace_file(fs: Fs, path: Path, content: Buffer) -> None:
    """Write a small file so that after a crash it has its old or its new content, never anything else."""
    temporary = path.with_name(path.name + ".tmp")
    fs.remove(temporary)
    file = fs.open(temporary)
    try:
        file.append(content)
        file.sync()
    finally:
        file.close()
    fs.rename(temporary, path)
    fs.sync_dir(path.parent)


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def _translated(operation: str, path: Path) -> Iterator[None]:
    try:
        yield
    except FsError:
        raise
    except OSError as error:
        kind = DiskFull if error.errno in _NO_SPACE else FsError
        raise kind(operation, path, error.strerror or error) from error


class _OsFile:
    __slots__ = ("_broken", "_fd", "_path", "size")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken = False
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.size = os.fstat(self._fd).st_size

    def append(self, data: Buffer) -> None:
        if self._broken:
            raise FsError("append to", self._path, "an earlier partial write could not be undone")
        with _translated("append to", self._path):
            try:
                written = os.write(self._fd, data)
                # A short write says that the rest did not fit; asking again says why.
                while written < len(data):
                    written += os.write(self._fd, memoryview(data)[written:])
            except OSError:
                self._undo()
                raise
        self.size += written

    def _undo(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self._broken = True

    def pread(self, size: int, position: int) -> bytes:
        with _translated("read", self._path):
            return os.pread(self._fd, size, position)

    def sync(self) -> None:
        with _translated("sync", self._path):
            _datasync(self._fd)

    def truncate(self, size: int) -> None:
        with _translated("truncate", self._path):
            os.ftruncate(self._fd, size)
        self.size = size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


# macOS has no fdatasync.
_datasync = getattr(os, "fdatasync", os.fsync)


class _OsLock:
    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class OsFs:
    """The operating system's file system."""

    def open(self, path: Path) -> File:
        with _translated("open", path):
            return _OsFile(path)

    def read(self, path: Path) -> bytes | None:
        with _translated("read", path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def listdir(self, path: Path) -> list[str]:
        with _translated("list", path):
            return sorted(entry.name for entry in path.iterdir())

    def exists(self, path: Path) -> bool:
        with _translated("look up", path):
            return path.exists()

    def mkdir(self, path: Path) -> None:
        with _translated("create", path):
            path.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        with _translated("rename", source):
            source.replace(target)

    def remove(self, path: Path) -> None:
        with _translated("remove", path):
            path.unlink(missing_ok=True)

    def rmdir(self, path: Path) -> None:
        with _translated("remove", path), suppress(FileNotFoundError):
            path.rmdir()

    def sync_dir(self, path: Path) -> None:
        with _translated("sync", path):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def lock(self, path: Path, *, holder: str) -> Lock:
        with _translated("lock", path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                other = os.pread(fd, LOCK_HOLDER_BYTES_MAX, 0).decode("ascii", "replace").strip()
                os.close(fd)
                raise Locked(path, other) from None
            os.ftruncate(fd, 0)
            os.pwrite(fd, holder.encode("ascii")[:LOCK_HOLDER_BYTES_MAX], 0)
            return _OsLock(fd)
