"""`trunkline broker`: says where it is, what it found and what is wrong, and ends when it is told to."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from trunkline.cli.main import run
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.processes import BrokerProcess, CommandProcess

Start = Callable[..., BrokerProcess]

READY_S = 2.0
"""What the slowest machine in CI may take; 0.2 s is usual."""

RSS_BYTES_MAX = 60_000_000
"""41 MB are usual."""


def test_it_says_where_it_is_when_clients_can_connect(tmp_path: Path) -> None:
    with CommandProcess(
        ["broker", "--port", "0", "--data-dir", str(tmp_path / "data")],
        ready=lambda line: line.startswith("broker ready"),
    ) as broker:
        words = broker.ready_line.split()
        assert words[:3] == ["broker", "ready", "at"]
        assert str(tmp_path / "data") in broker.ready_line
        desk = ApiDesk(words[3])
        desk.topic()
        desk.close()


def test_it_is_light(broker_factory: Start) -> None:
    broker = broker_factory()
    assert psutil.Process(broker.pid).memory_info().rss < RSS_BYTES_MAX


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_success(broker_factory: Start, number: signal.Signals) -> None:
    broker = broker_factory()
    os.kill(broker.pid, number)
    assert broker.wait() == 0
    assert broker.stderr.text == ""


def test_a_restart_finds_everything_and_nothing_to_report(broker_factory: Start) -> None:
    broker = broker_factory()
    desk = ApiDesk(broker.address)
    topic = desk.topic()
    desk.produce(topic, b"kept")
    desk.close()
    cluster_id, port = broker.info.cluster_id, broker.port
    assert broker.terminate() == 0
    broker.restart()
    assert (broker.info.cluster_id, broker.port) == (cluster_id, port)
    assert broker.stderr.text == ""
    desk = ApiDesk(broker.address)
    assert [record.value for record in desk.fetch(topic)] == [b"kept"]
    desk.close()


def test_a_torn_tail_is_reported_on_standard_error(broker_factory: Start) -> None:
    broker = broker_factory()
    desk = ApiDesk(broker.address)
    topic = desk.topic()
    desk.produce(topic, b"kept")
    desk.close()
    broker.kill()
    (segment,) = (broker.data_dir / "topics" / f"{topic}-0").glob("*.log")
    with segment.open("ab") as file:
        file.write(b"half a batch")
    broker.restart()
    warning = broker.stderr.wait_line(lambda line: line.startswith("warning:"), timeout_s=10)
    assert warning is not None
    assert "cut 12 bytes" in warning


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--advertised", "nowhere"], "HOST:PORT"),
        (["--advertised", "host:99999"], "HOST:PORT"),
        (["--host", "0.0.0.0"], "--advertised"),
        (["--port", "70000"], "--port"),
        (["--durability", "hope"], "--durability"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert run(["broker", "--data-dir", str(tmp_path), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line


def test_a_port_in_use_is_one_line_and_exit_code_4(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with CommandProcess(["broker", "--port", str(port), "--data-dir", str(tmp_path)]) as process:
            assert process.wait() == 4
            assert process.stderr.text.startswith(f"error: cannot listen on 127.0.0.1:{port}")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_one_line_and_exit_code_4(tmp_path: Path, host: str) -> None:
    with CommandProcess(["broker", "--port", "0", "--host", host, "--data-dir", str(tmp_path)]) as process:
        assert process.wait() == 4
        (line,) = process.stderr.text.splitlines()
        assert line.startswith(f"error: cannot listen on {host}:0: ")
        assert "--host" in line


def test_a_data_directory_that_is_a_file_is_one_line_and_exit_code_4(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with CommandProcess(["broker", "--port", "0", "--data-dir", str(tmp_path / "file")]) as process:
        assert process.wait() == 4
        (line,) = process.stderr.text.splitlines()
        assert line.startswith("error: ")


def test_advertised_is_what_clients_are_told(broker_factory: Start) -> None:
    broker = broker_factory(None, "--advertised", "kafka.example.org:9092", "--default-partitions", "2")
    desk = ApiDesk(broker.address)
    from trunkline.broker.protocol.messages.metadata import MetadataRequest, MetadataResponse

    (told,) = desk.ask(MetadataRequest(topics=[]), 9, MetadataResponse).brokers
    desk.close()
    assert (told.host, told.port) == ("kafka.example.org", 9092)


def test_the_variable_of_a_whole_machine_is_not_the_broker_s_own(tmp_path: Path) -> None:
    environment = {
        "TRUNKLINE_DATA_DIR": str(tmp_path / "machine"),
        "TRUNKLINE_BROKER_DATA_DIR": str(tmp_path / "broker"),
    }
    with CommandProcess(
        ["broker", "--port", "0"],
        ready=lambda line: line.startswith("broker ready"),
        environment=environment,
    ):
        assert (tmp_path / "broker" / "lock").exists()
        assert not (tmp_path / "machine").exists()
