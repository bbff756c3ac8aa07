"""The keeper of a JVM, with smaller programs."""

import os
import signal
import subprocess
import sys

import psutil

from trunkline.testing import kafka_keeper
from trunkline.testing.consuming import eventually

PATIENCE_S = 10


def keep(*program: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", kafka_keeper.__file__, *program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def kept(keeper: "subprocess.Popen[str]") -> psutil.Process:
    assert keeper.stdout is not None
    return psutil.Process(int(keeper.stdout.readline()))


def test_the_program_ends_when_its_owner_lets_go_even_if_it_is_frozen() -> None:
    with keep("sleep", "60") as keeper:
        program = kept(keeper)
        program.suspend()
        assert keeper.stdin is not None
        keeper.stdin.close()
        assert keeper.wait(PATIENCE_S) == 128 + signal.SIGKILL
        assert not program.is_running()


def test_the_program_ends_with_its_keeper() -> None:
    with keep("sleep", "60") as keeper:
        program = kept(keeper)
        keeper.kill()
        keeper.wait(PATIENCE_S)
        eventually(lambda: not program.is_running() or program.status() == psutil.STATUS_ZOMBIE)


def test_the_exit_code_is_the_programs() -> None:
    with keep("sh", "-c", "exit 7") as keeper:
        assert keeper.wait(PATIENCE_S) == 7
    with keep("sleep", "60") as keeper:
        os.kill(kept(keeper).pid, signal.SIGTERM)
        assert keeper.wait(PATIENCE_S) == 128 + signal.SIGTERM
