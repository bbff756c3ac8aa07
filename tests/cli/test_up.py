import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing.processes import CommandProcess

READY_SECONDS = 40
RECOVERY_SECONDS = 90
"""Real brokers notice a dead one after 9 s, elect, and start a JVM meanwhile, perhaps on a busy machine."""

STOP_SECONDS = 90
"""What the command gives its services, then real brokers that hand over, before it kills them."""


@contextmanager
def started(data_dir: Path, *options: str) -> Iterator[CommandProcess]:
    with CommandProcess(
        [
            "up",
            "--data-dir",
            str(data_dir),
            "--port",
            "0",
            "--api-port",
            "0",
            "--service",
            "audit-service",
            "--json",
            *options,
        ],
        ready=lambda line: line.startswith('{"bootstrap_servers"'),
        ready_deadline_s=READY_SECONDS,
    ) as process:
        yield process


def counts(process: CommandProcess, wanted: str) -> dict[str, Any]:
    """The next status line in which the figure `wanted` is above zero."""
    line = process.stdout.wait_line(
        lambda line: line.startswith('{"topics"') and json.loads(line)[wanted] > 0, timeout_s=READY_SECONDS
    )
    assert line is not None, process.stderr.text
    figures: dict[str, Any] = json.loads(line)
    return figures


def interrupt(process: CommandProcess) -> int:
    os.kill(process.pid, signal.SIGINT)
    return process.wait(timeout_s=STOP_SECONDS)


def test_counts_flow_ctrl_c_ends_with_0_and_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with started(tmp_path, "--feed", "--rate", "100") as first:
        assert counts(first, "in_ledger")["published"] > 0
        assert interrupt(first) == 0
        assert first.stderr.text.endswith("stopped")
    with started(tmp_path) as second:
        kept = counts(second, "in_ledger")
        assert kept["published"] == 0
        assert sum(topic["in_log"] for topic in kept["topics"]) >= kept["in_ledger"] > 0
        assert interrupt(second) == 0


def test_a_second_up_on_the_same_directory_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with started(tmp_path, "--feed") as first:
        second = CommandProcess(
            [
                "up",
                "--data-dir",
                str(tmp_path),
                "--port",
                "0",
                "--api-port",
                "0",
                "--service",
                "audit-service",
            ]
        )
        assert second.wait() == 4
        assert "in use" in second.stderr.text
        assert len(second.stderr.text.splitlines()) == 1
        counts(first, "in_ledger")
        assert interrupt(first) == 0


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = CommandProcess(["up", "--data-dir", str(tmp_path), "--port", str(port)])
        assert process.wait() == 4
        assert f"127.0.0.1:{port}" in process.stderr.text


def test_a_port_of_an_api_in_use_is_named_before_any_service_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["up", "--data-dir", str(tmp_path), "--port", "0", "--api-port", str(port)]
        process = CommandProcess(arguments)
        assert process.wait() == 4
    assert process.stderr.text.startswith(f"error: API port {port} of tenant-service: Address already in use")
    assert [found.name for found in (tmp_path / "logs").iterdir()] == ["broker.log"]


def test_ctrl_c_while_it_starts_ends_it_with_0_and_nothing_left_running(tmp_path: Path) -> None:
    process = CommandProcess(
        ["up", "--data-dir", str(tmp_path), "--port", "0", "--api-port", "0", "--service", "audit-service"]
    )
    wait_until_broker_log(process, tmp_path)
    assert interrupt(process) == 0
    assert "stopping what was started" in process.stderr.text
    assert process.stdout.text == ""
    with started(tmp_path) as again:
        assert interrupt(again) == 0


def wait_until_broker_log(process: CommandProcess, data_dir: Path) -> None:
    """Until the broker was spawned: from then on there is something to clean up."""
    while not (data_dir / "logs" / "broker.log").exists():
        assert process.running


def test_a_service_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with started(tmp_path, "--feed") as process:
        victim = json.loads(process.ready_line)["processes"]["broker"]
        counts(process, "in_ledger")
        os.kill(victim, signal.SIGKILL)
        line = process.stderr.wait_line(lambda line: "broker ended" in line, timeout_s=READY_SECONDS)
        assert line == "broker ended (killed by SIGKILL); starting again in 0.2 s"
        before = counts(process, "published")["published"]
        grown = process.stdout.wait_line(
            lambda line: line.startswith('{"topics"') and json.loads(line)["published"] > before,
            timeout_s=READY_SECONDS,
        )
        assert grown is not None
        assert interrupt(process) == 0


def test_what_the_broker_found_after_a_crash_is_said(tmp_path: Path) -> None:
    with started(tmp_path, "--feed", "--rate", "200") as first:
        counts(first, "in_ledger")
        assert interrupt(first) == 0
    log = max((tmp_path / "broker" / "topics").glob("*/*.log"), key=size_of)
    log.write_bytes(log.read_bytes()[:-7])
    with started(tmp_path) as second:
        assert second.stderr.wait_line(lambda line: "cannot be read" in line, timeout_s=READY_SECONDS)
        assert interrupt(second) == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--brokers", "3"], "--brokers 3 needs --engine kafka"),
        (["--engine", "kafka", "--brokers", "2"], "--brokers 2: 1 or 3"),
        (["--engine", "kafka", "--host", "0.0.0.0"], "on 127.0.0.1 only"),
    ],
)
def test_engine_and_brokers_must_go_together(tmp_path: Path, options: list[str], complaint: str) -> None:
    process = CommandProcess(["up", "--data-dir", str(tmp_path / "data"), *options])
    assert process.wait() == 2
    assert complaint in process.stderr.text
    assert not (tmp_path / "data").exists()


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_real_kafka_keeps_its_cluster_and_a_killed_broker_comes_back(
    tmp_path: Path, kafka_home: Path | None
) -> None:
    options = ["--engine", "kafka", "--brokers", "3"]
    with started(tmp_path, *options, "--feed", "--rate", "100") as first:
        ready = json.loads(first.ready_line)
        assert set(ready["processes"]) == {"broker-1", "broker-2", "broker-3", "audit-service"}
        counts(first, "in_ledger")
        os.kill(ready["processes"]["broker-2"], signal.SIGKILL)
        said = first.stderr.wait_line(lambda line: "broker-2 ended" in line, timeout_s=READY_SECONDS)
        assert said is not None
        assert said.endswith("starting again in 0.2 s")
        before = counts(first, "published")["published"]
        grown = first.stdout.wait_line(
            lambda line: line.startswith('{"topics"') and json.loads(line)["published"] > before,
            timeout_s=RECOVERY_SECONDS,
        )
        assert grown is not None
        assert interrupt(first) == 0
    with started(tmp_path, *options) as second:
        assert json.loads(second.ready_line)["cluster_id"] == ready["cluster_id"]
        assert counts(second, "in_ledger")["published"] == 0
        assert interrupt(second) == 0


@pytest.mark.kafka
def test_a_second_real_kafka_on_the_same_directory_is_refused(
    tmp_path: Path, kafka_home: Path | None
) -> None:
    with started(tmp_path, "--engine", "kafka") as first:
        second = CommandProcess(
            [
                "up",
                "--data-dir",
                str(tmp_path),
                "--port",
                "0",
                "--api-port",
                "0",
                "--service",
                "audit-service",
                "--engine",
                "kafka",
            ]
        )
        assert second.wait() == 4
        assert "in use" in second.stderr.text
        assert len(second.stderr.text.splitlines()) == 1
        assert interrupt(first) == 0


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRUNKLINE_")]:
        monkeypatch.delenv(name)
