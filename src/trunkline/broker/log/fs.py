"""The file system as the log needs it, and its two implementations: the operating system's and one in memory.

The model both obey, and on which recovery rests:

- `File.append` is all or nothing while the process lives: when the device refuses part of it, the file is cut back
  to its former size before the error is raised.
- What is appended is readable at once, but survives a crash only once `File.sync` has returned. A crash may keep
  any prefix of the bytes appended since the last sync (a torn tail).
- A failed `sync` is final for the file: the kernel may have dropped the dirty pages and called them clean, so a
  second, successful sync proves nothing. Callers stop; they never retry.
- A created, renamed or removed name survives a crash only once `Fs.sync_dir` of its directory has returned.

`MemoryFs` is that model without a device. It forgets on `crash()` whatever the model does not promise and injects
faults, so crash tests need neither a disk nor a killed process. Operations that the loop and the sync thread may
run at the same time (append and pread against sync) are safe in both.
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
        """Return when every byte appended before the call survives a crash. Raises `FsError`: never call again."""

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
                # A short write is the kernel's way of saying that the rest did not fit; asking again says why.
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


class _Inode:
    """Content and what of it is durable: `data[:synced]` is, plus `cut`, durable bytes a later truncate removed."""

    __slots__ = ("cut", "data", "sync_failed", "synced")

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = 0
        self.cut = b""
        self.sync_failed = False

    def survivor(self, torn_bytes: int) -> "_Inode":
        after = _Inode()
        tail = self.cut or self.data[self.synced : self.synced + torn_bytes]
        after.data = self.data[: self.synced] + tail
        after.synced = len(after.data)
        return after


class _MemoryFile:
    __slots__ = ("_fs", "_generation", "_inode", "_path")

    def __init__(self, fs: "MemoryFs", path: Path, inode: _Inode) -> None:
        self._fs = fs
        self._path = path
        self._inode = inode
        self._generation = fs.crashes

    @property
    def size(self) -> int:
        return len(self._inode.data)

    def append(self, data: Buffer) -> None:
        self._check_alive()
        if self._fs.used_bytes() + len(data) > self._fs.capacity_bytes:
            raise DiskFull("append to", self._path, "no space left on device")
        self._inode.data += data

    def pread(self, size: int, position: int) -> bytes:
        self._check_alive()
        return bytes(memoryview(bytes(self._inode.data))[position : position + size])

    def sync(self) -> None:
        self._check_alive()
        inode = self._inode
        if self._fs.fail_sync:
            inode.sync_failed = True
            raise FsError("sync", self._path, "input/output error")
        self._fs.syncs += 1
        if not inode.sync_failed:
            inode.synced = len(inode.data)
            inode.cut = b""

    def truncate(self, size: int) -> None:
        self._check_alive()
        inode = self._inode
        if size < inode.synced:
            inode.cut = bytes(inode.data[size : inode.synced]) + inode.cut
            inode.synced = size
        del inode.data[size:]

    def close(self) -> None:
        pass

    def _check_alive(self) -> None:
        assert self._generation == self._fs.crashes, "a file opened before the crash was used after it"


class _MemoryLock:
    __slots__ = ("_fs", "_path")

    def __init__(self, fs: "MemoryFs", path: Path) -> None:
        self._fs = fs
        self._path = path

    def release(self) -> None:
        self._fs.locks.pop(self._path, None)


class MemoryFs:
    """A file system in memory that keeps after `crash()` only what the model promises.

    Faults are plain attributes: `capacity_bytes` makes appends raise `DiskFull`, `fail_sync` makes syncs fail (and,
    as on Linux, makes later syncs of the same file succeed without keeping anything). `syncs` counts file syncs.
    """

    def __init__(self) -> None:
        self.capacity_bytes: float = float("inf")
        self.fail_sync = False
        self.syncs = 0
        self.crashes = 0
        self.locks: dict[Path, str] = {}
        self._files: dict[Path, _Inode] = {}
        self._dirs: set[Path] = set()
        self._durable_files: dict[Path, _Inode] = {}
        self._durable_dirs: set[Path] = set()

    def used_bytes(self) -> int:
        """All bytes in all files."""
        return sum(len(inode.data) for inode in self._files.values())

    def crash(self, *, torn_bytes: int = 0) -> None:
        """Lose power: unsynced names and bytes are gone, but for a prefix of `torn_bytes` in every file."""
        self.crashes += 1
        self.locks.clear()
        self._files = {path: inode.survivor(torn_bytes) for path, inode in self._durable_files.items()}
        self._durable_files = dict(self._files)
        self._dirs = set(self._durable_dirs)

    def corrupt(self, path: Path, position: int, data: bytes) -> None:
        """Overwrite bytes behind everyone's back, as a failing disk does."""
        self._files[path].data[position : position + len(data)] = data

    def open(self, path: Path) -> File:
        if path.parent not in self._dirs:
            raise FsError("open", path, "no such directory")
        return _MemoryFile(self, path, self._files.setdefault(path, _Inode()))

    def read(self, path: Path) -> bytes | None:
        inode = self._files.get(path)
        return None if inode is None else bytes(inode.data)

    def listdir(self, path: Path) -> list[str]:
        if path not in self._dirs:
            raise FsError("list", path, "no such directory")
        return sorted(
            entry.name for entry in (*self._files, *self._dirs) if entry.parent == path and entry != path
        )

    def exists(self, path: Path) -> bool:
        return path in self._files or path in self._dirs

    def mkdir(self, path: Path) -> None:
        self._dirs.update((path, *path.parents))

    def rename(self, source: Path, target: Path) -> None:
        if source in self._files:
            self._files[target] = self._files.pop(source)
            return
        for old in [entry for entry in self._dirs if entry == source or source in entry.parents]:
            self._dirs.remove(old)
            self._dirs.add(target / old.relative_to(source))
        for old in [entry for entry in self._files if source in entry.parents]:
            self._files[target / old.relative_to(source)] = self._files.pop(old)

    def remove(self, path: Path) -> None:
        self._files.pop(path, None)

    def rmdir(self, path: Path) -> None:
        if path in self._dirs and self.listdir(path):
            raise FsError("remove", path, "directory not empty")
        self._dirs.discard(path)

    def sync_dir(self, path: Path) -> None:
        """Also makes the directory itself durable: a lost empty directory would teach the log nothing."""
        for entry in [entry for entry in self._durable_files if entry.parent == path]:
            del self._durable_files[entry]
        self._durable_files.update(
            {entry: node for entry, node in self._files.items() if entry.parent == path}
        )
        self._durable_dirs = {entry for entry in self._durable_dirs if entry.parent != path}
        self._durable_dirs.update(entry for entry in self._dirs if entry.parent == path)
        self._durable_dirs.update((path, *path.parents))

    def lock(self, path: Path, *, holder: str) -> Lock:
        if path in self.locks:
            raise Locked(path, self.locks[path])
        self.locks[path] = holder
        return _MemoryLock(self, path)
