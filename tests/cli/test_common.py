"""What the commands share: ending on a signal, whichever thread receives it."""

import ctypes
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli import _common
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.processes import BrokerProcess, CommandProcess


def test_a_wait_ends_on_a_signal_that_another_thread_has_received() -> None:
    stopping = threading.Event()
    with _common.on_stop_signal(stopping.set):
        elsewhere = threading.Thread(
            target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM), daemon=True
        )
        threading.Timer(0.2, elsewhere.start).start()
        _common.wait(stopping)
    assert stopping.is_set()


def other_thread(pid: int) -> int:
    """A thread of the interpreter's that is not the main one: the library's own threads take no signals."""
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        status = dict(
            line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line
        )
        takes = not int(status["SigBlk"], 16) >> (signal.SIGTERM - 1) & 1
        if int(task.name) != pid and takes:
            return int(task.name)
    raise AssertionError(f"process {pid} has no such thread")


@pytest.mark.parametrize("service", ["audit-service", "tenant-service"])
def test_a_service_ends_on_a_signal_that_another_thread_has_received(
    broker_factory: Callable[..., BrokerProcess], tmp_path: Path, service: str
) -> None:
    address = broker_factory().address
    ensure_topics(ConnectionOptions(bootstrap_servers=address), load_catalogue(), "development")
    arguments = ["service", service, "-b", address, "--data-dir", str(tmp_path / "kept"), "--json"]
    with CommandProcess(arguments, ready=lambda line: "store" in line) as process:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.tgkill(process.pid, other_thread(process.pid), signal.SIGTERM) == 0
        assert process.wait() == 0
