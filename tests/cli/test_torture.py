"""`trunkline torture`: a short run keeps every promise, wrong use is refused, and no child survives."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing.consuming import eventually
from trunkline.testing.torture.sabotage import Safeguard

COUNTS = ("lost", "duplicated_effects", "reordered", "skipped_without_ledger", "unresolved", "strangers")
Trunkline = Callable[..., Any]


@pytest.mark.slow
def test_a_short_run_on_the_embedded_broker_keeps_every_promise(trunkline: Trunkline) -> None:
    ran = trunkline("torture", "--seconds", "15", "--faults", "10", "--seed", "7", "--json")
    report = ran.json()
    assert (report["problems"], report["stories"]) == ([], [])
    assert [report[count] for count in COUNTS] == [0] * len(COUNTS)
    assert report["faults"] >= 10
    assert report["seed"] == 7
    assert report["acknowledged"] == report["published"] > 0
    assert ran.code == 0


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_a_short_run_on_real_kafka_keeps_every_promise(trunkline: Trunkline, kafka_home: Path | None) -> None:
    ran = trunkline("torture", "--engine", "kafka", "--seconds", "25", "--faults", "8", "--json")
    report = ran.json()
    assert (report["problems"], report["stories"]) == ([], [])
    assert [report[count] for count in COUNTS] == [0] * len(COUNTS)
    assert ran.code == 0


@pytest.mark.slow
def test_a_failed_run_says_its_seed_and_the_culprits_story_and_keeps_the_evidence(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    keep = tmp_path / "kept"
    ran = trunkline(
        "torture", "--seconds", "10", "--seed", "3", "--json",
        "--without", Safeguard.LEDGER.value, "--faults", "12", "--keep", str(keep),
    )  # fmt: skip
    report = ran.json()
    assert ran.code == 1
    assert report["skipped_without_ledger"] > 0
    assert "--engine embedded --seconds 10 --seed 3" in ran.err
    assert any("was skipped" in line for line in report["stories"])
    assert report["kept"] == str(keep)
    assert (keep / "publisher-0.journal").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--brokers", "3"], "the embedded broker is one, not 3; give --engine kafka"),
        (["--engine", "kafka", "--brokers", "2"], "--brokers 2: real Kafka runs with 1 or 3"),
        (["--engine", "oracle"], "'oracle' is not one of"),
        (["--seconds", "1"], "1.0 is not in the range"),
    ],
)
def test_wrong_use_is_refused_in_one_line(trunkline: Trunkline, options: list[str], complaint: str) -> None:
    ran = trunkline("torture", *options)
    assert ran.code == 2
    assert complaint in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_directory_with_something_in_it_is_left_alone(trunkline: Trunkline, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    ran = trunkline("torture", "--keep", str(tmp_path))
    assert ran.code == 2
    assert "is not empty" in ran.err


def test_without_java_it_says_what_is_missing(trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    ran = trunkline("torture", "--engine", "kafka", "--seconds", "5")
    assert ran.code != 0
    assert "java" in ran.err.lower()
    assert len(ran.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_however_it_ends_no_child_survives(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trunkline", "torture", "--seconds", "60", "--keep", str(tmp_path / "k")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        journal = tmp_path / "k" / "publisher-1.journal"
        eventually(journal.exists)
        children = _descendants(process.pid)
        assert len(children) >= 6
        os.kill(children[0], signal.SIGSTOP)
        process.send_signal(number)
        code = process.wait(60)
    assert code == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    eventually(lambda: not any(_alive(child) for child in children))


def _descendants(parent: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
