"""A file system in memory that keeps in a crash only what the model of `trunkline.broker.log.fs` promises."""

from pathlib import Path

from trunkline.broker.log.fs import Buffer, DiskFull, File, FsError, Lock, Locked


class _Inode:
    """Content, of which `data[:synced]` is durable, and `cut`, durable bytes that a truncate removed."""

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

    Faults are plain attributes: `capacity_bytes` makes appends raise `DiskFull`, `fail_sync` makes syncs
    fail (and, as on Linux, makes later syncs of the same file succeed without keeping anything). `syncs`
    counts file syncs.
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
