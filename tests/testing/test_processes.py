"""Processes for tests: ready in time or a clear failure, ended in every way, restarted where they were."""

import socket
from pathlib import Path

import pytest

from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.processes import BrokerProcess, CommandProcess, ProcessFailed


def test_a_killed_broker_comes_back_on_its_port_with_its_data(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        desk = ApiDesk(broker.address)
        topic = desk.topic()
        desk.produce(topic, b"kept")
        desk.close()
        address, pid = broker.address, broker.pid
        broker.kill()
        assert not broker.running
        broker.restart()
        assert broker.address == address
        assert broker.pid != pid
        desk = ApiDesk(broker.address)
        assert [record.value for record in desk.fetch(topic)] == [b"kept"]
        desk.close()
    assert not broker.running


def test_a_paused_broker_answers_when_it_goes_on(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        desk = ApiDesk(broker.address)
        topic = desk.topic()
        broker.pause()
        desk.wire.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            desk.produce(topic, b"x")
        broker.resume()
        desk.close()
        assert broker.terminate() == 0


def test_a_command_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    with (
        BrokerProcess(tmp_path),
        pytest.raises(ProcessFailed, match=r"ended with code 4: error: data directory .* is in use"),
    ):
        BrokerProcess(tmp_path)


def test_a_command_that_never_is_ready_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="did not become ready in time"):
        CommandProcess(
            ["broker", "--port", "0", "--data-dir", str(tmp_path)],
            ready=lambda _line: False,
            ready_deadline_s=1,
        )


def test_output_is_kept_line_by_line(tmp_path: Path) -> None:
    with CommandProcess(["--version"]) as process:
        assert process.wait() == 0
        assert process.stdout.text.startswith("trunkline ")
        assert process.stdout.wait_line(lambda line: "nothing like it" in line, timeout_s=1) is None


def test_a_broker_that_was_stopped_lets_go_of_its_port(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        port = broker.port
        broker.terminate()
        with socket.create_server(("127.0.0.1", port)):
            pass
