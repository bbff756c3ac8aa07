"""The brokers under measurement, each a process of its own, and what the system says about a process."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from trunkline.testing.processes import BrokerProcess, Output, ProcessFailed

MOCK: Final = (sys.executable, "-m", "trunkline.testing.bench.raw")
MOCK_DEADLINE_S: Final = 15.0
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_AFTER_NAME_UTIME, _AFTER_NAME_STIME = 11, 12
"""Places in /proc/PID/stat behind the process's name, see proc_pid_stat(5)."""


class Usage(NamedTuple):
    """Resident memory in MB (10^6 bytes) and processor seconds of a process so far."""

    rss_mb: float
    cpu_seconds: float


def usage(pid: int) -> Usage | None:
    """What a process uses; None on a system without procfs."""
    folder = Path("/proc") / str(pid)
    try:
        status = (folder / "status").read_text()
        stat = (folder / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    ticks = int(stat[_AFTER_NAME_UTIME]) + int(stat[_AFTER_NAME_STIME])
    return Usage(rss * 1024 / 1e6, ticks / TICKS_PER_SECOND)


class MockProcess:
    """librdkafka's in-memory mock cluster as a process; a context manager that ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own module
            MOCK, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdout = Output(self._process.stdout)
        self._stderr = Output(self._process.stderr)
        line = self._stdout.wait_line(lambda line: line.startswith("{"), timeout_s=MOCK_DEADLINE_S)
        if line is None:
            self.close()
            raise ProcessFailed(f"librdkafka's mock cluster did not start: {self._stderr.text}")
        found = msgspec.json.decode(line)
        self.address = f"{found['host']}:{found['port']}"
        self.pid = self._process.pid

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._stdout.join(timeout_s=MOCK_DEADLINE_S)
        self._stderr.join(timeout_s=MOCK_DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def sync_ms(directory: Path, *, times: int) -> list[float]:
    """Milliseconds the disk takes to append and sync 1 KB; no acknowledgement can be faster."""
    samples = []
    handle = os.open(directory / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for _ in range(times):
            started = time.perf_counter()
            os.write(handle, bytes(1000))
            # macOS has no fdatasync.
            getattr(os, "fdatasync", os.fsync)(handle)
            samples.append((time.perf_counter() - started) * 1e3)
    finally:
        os.close(handle)
    return samples


def ready_ms(data_dir: Path) -> tuple[float, float]:
    """Milliseconds from starting a process to its first client being able to connect: ours, and the mock."""
    started = time.perf_counter()
    with BrokerProcess(data_dir):
        ours = time.perf_counter() - started
    started = time.perf_counter()
    with MockProcess():
        mock = time.perf_counter() - started
    return ours * 1e3, mock * 1e3
