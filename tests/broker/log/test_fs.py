"""Both file systems keep the promises of the port; the one in memory keeps nothing else in a crash."""

import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.broker.log.fs import DiskFull, Fs, FsError, Locked, OsFs, replace_file
from trunkline.broker.log.memory_fs import MemoryFs

DIRECTORY = Path("/data")
FILE = DIRECTORY / "file"


@pytest.fixture(params=["os", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Fs, Path]:
    fs: Fs = OsFs() if request.param == "os" else MemoryFs()
    directory = tmp_path / "data"
    fs.mkdir(directory)
    return fs, directory


@pytest.fixture
def memory() -> MemoryFs:
    fs = MemoryFs()
    fs.mkdir(DIRECTORY)
    fs.open(FILE).append(b"")
    fs.sync_dir(DIRECTORY)
    return fs


def test_appended_bytes_are_read_back(place: tuple[Fs, Path]) -> None:
    fs, directory = place
    file = fs.open(directory / "a")
    file.append(b"hello ")
    file.append(bytearray(b"world"))
    file.sync()
    assert (file.size, file.pread(5, 6), file.pread(100, 9), file.pread(5, 50)) == (11, b"world", b"ld", b"")
    file.truncate(5)
    file.append(b"!")
    assert fs.read(directory / "a") == b"hello!"
    file.close()
    file.close()
    assert fs.open(directory / "a").size == 6


def test_names_are_listed_renamed_and_removed(place: tuple[Fs, Path]) -> None:
    fs, directory = place
    fs.mkdir(directory / "sub" / "deep")
    fs.mkdir(directory / "sub" / "deep")
    fs.open(directory / "b").close()
    fs.open(directory / "sub" / "c").append(b"c")
    assert fs.listdir(directory) == ["b", "sub"]
    fs.rename(directory / "sub", directory / "moved")
    assert fs.read(directory / "moved" / "c") == b"c"
    assert not fs.exists(directory / "sub")
    fs.remove(directory / "b")
    fs.remove(directory / "b")
    fs.rmdir(directory / "nothing")
    assert fs.listdir(directory) == ["moved"]
    assert fs.read(directory / "b") is None
    with pytest.raises(FsError):
        fs.rmdir(directory / "moved")


def test_a_replaced_file_has_its_new_content_and_leaves_no_other(place: tuple[Fs, Path]) -> None:
    fs, directory = place
    replace_file(fs, directory / "a", b"old")
    replace_file(fs, directory / "a", b"new")
    assert fs.read(directory / "a") == b"new"
    assert fs.listdir(directory) == ["a"]


def test_what_cannot_be_done_says_what_and_where(place: tuple[Fs, Path]) -> None:
    fs, directory = place
    with pytest.raises(FsError, match=r"cannot open .*missing/file"):
        fs.open(directory / "missing" / "file")


def test_a_second_lock_is_refused_with_its_holder(place: tuple[Fs, Path]) -> None:
    fs, directory = place
    lock = fs.lock(directory / "lock", holder="1234")
    with pytest.raises(Locked) as raised:
        fs.lock(directory / "lock", holder="1235")
    assert raised.value.holder == "1234"
    lock.release()
    lock.release()
    fs.lock(directory / "lock", holder="1235").release()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from trunkline.broker.log.fs import OsFs\n"
        "lock = OsFs().lock(pathlib.Path(sys.argv[1]), holder='child'); print('ready', flush=True); input()"
    )
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with pytest.raises(Locked, match="child"):
            OsFs().lock(path, holder="parent")
        child.kill()
    OsFs().lock(path, holder="parent").release()


def test_an_append_that_fits_only_in_part_leaves_no_part(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys, pathlib; from trunkline.broker.log.fs import OsFs, DiskFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "file = OsFs().open(pathlib.Path(sys.argv[1])); file.append(b'x' * 700)\n"
        "try: file.append(b'y' * 700)\n"
        "except DiskFull: print(file.size)"
    )
    path = tmp_path / "limited"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "700\n"
    assert path.stat().st_size == 700


def test_only_synced_bytes_survive_a_crash(memory: MemoryFs) -> None:
    file = memory.open(FILE)
    file.append(b"synced")
    file.sync()
    file.append(b"lost")
    memory.crash()
    assert memory.read(FILE) == b"synced"


def test_a_crash_may_keep_a_torn_prefix(memory: MemoryFs) -> None:
    file = memory.open(FILE)
    file.append(b"synced")
    file.sync()
    file.append(b"torn")
    memory.crash(torn_bytes=2)
    assert memory.read(FILE) == b"syncedto"


def test_an_unsynced_truncation_is_undone_by_a_crash(memory: MemoryFs) -> None:
    file = memory.open(FILE)
    file.append(b"0123456789")
    file.sync()
    file.truncate(7)
    file.truncate(4)
    file.append(b"new")
    memory.crash()
    assert memory.read(FILE) == b"0123456789"


def test_only_synced_names_survive_a_crash(memory: MemoryFs) -> None:
    memory.open(DIRECTORY / "new").sync()
    memory.remove(FILE)
    memory.crash()
    assert memory.listdir(DIRECTORY) == ["file"]
    memory.rename(FILE, DIRECTORY / "renamed")
    memory.sync_dir(DIRECTORY)
    memory.crash()
    assert memory.listdir(DIRECTORY) == ["renamed"]


def test_a_sync_after_a_failed_one_keeps_nothing(memory: MemoryFs) -> None:
    file = memory.open(FILE)
    file.append(b"dropped")
    memory.fail_sync = True
    with pytest.raises(FsError):
        file.sync()
    memory.fail_sync = False
    file.sync()
    memory.crash()
    assert memory.read(FILE) == b""


def test_a_full_memory_disk_takes_nothing_of_an_append(memory: MemoryFs) -> None:
    memory.capacity_bytes = 5
    file = memory.open(FILE)
    file.append(b"1234")
    with pytest.raises(DiskFull):
        file.append(b"56")
    assert file.size == 4


def test_locks_end_with_a_crash(memory: MemoryFs) -> None:
    memory.lock(DIRECTORY / "lock", holder="1")
    memory.crash()
    memory.lock(DIRECTORY / "lock", holder="2")
