"""Bad peers, bad luck and impatient operators."""

import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import psutil
import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import JoinGroupRequest, JoinGroupRequestProtocol
from trunkline.broker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from trunkline.broker.protocol.messages.versions import ApiVersionsRequest
from trunkline.broker.protocol.records import NewRecord, build
from trunkline.testing.processes import BrokerProcess, CommandProcess
from trunkline.testing.wire import FETCH_VERSION, WireClient, fetch_request

MakeTopic = Callable[..., str]

MEBIBYTE = 1 << 20
EXIT_UNAVAILABLE = 4


def connect(broker: BrokerProcess) -> socket.socket:
    """A bare connection."""
    return socket.create_connection(("127.0.0.1", broker.port), 10)


def memory_bytes(broker: BrokerProcess) -> int:
    """Resident memory of the broker."""
    return int(psutil.Process(broker.pid).memory_info().rss)


def assert_healthy(broker: BrokerProcess) -> None:
    """The broker answers a newcomer."""
    with WireClient(broker.address) as client:
        client.ask(ApiVersionsRequest(), 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        struct.pack(">i", -1),
        struct.pack(">i", 0),
        struct.pack(">i", 2**31 - 1) + bytes(64),
        struct.pack(">ihhih", 10, 999, 0, 1, -1) + bytes(10),
        struct.pack(">ihhih", 10, 3, 12, 1, -1) + b"\xff" * 10,
        struct.pack(">ihhih", 14, 0, 9, 1, 30_000) + bytes(10),
    ],
    ids=["http", "tls", "negative", "empty", "2 GB", "unknown api", "bad body", "bad client id"],
)
def test_what_is_not_kafka_is_hung_up_on(broker: BrokerProcess, sent: bytes) -> None:
    with connect(broker) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    assert_healthy(broker)


def test_random_bytes_leave_the_broker_healthy(broker: BrokerProcess) -> None:
    random = Random(20)
    for _ in range(60):
        body = random.randbytes(random.randrange(8, 400))
        key, version = random.randrange(0, 76), random.randrange(0, 14)
        with connect(broker) as peer:
            peer.sendall(struct.pack(">ihhih", len(body) + 10, key, version, 1, -1) + body)
            peer.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while peer.recv(65_536):
                    pass
    assert_healthy(broker)


def test_half_sent_frames_and_big_promises_take_no_memory(broker: BrokerProcess) -> None:
    before = memory_bytes(broker)
    with ExitStack() as stack:
        for _ in range(100):
            peer = stack.enter_context(connect(broker))
            peer.sendall(struct.pack(">ihh", 90 * MEBIBYTE, 0, 9))
        assert_healthy(broker)
        assert memory_bytes(broker) - before < 40 * MEBIBYTE
    assert_healthy(broker)


def test_a_reader_that_does_not_read_costs_bounded_memory(
    broker: BrokerProcess, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    with WireClient(broker.address) as writer:
        for _ in range(8):
            writer.produce(topic, build([NewRecord(b"k", bytes(900_000))]))
    before = memory_bytes(broker)
    with ExitStack() as stack:
        for _ in range(4):
            reader = stack.enter_context(WireClient(broker.address, timeout_s=5))
            reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = fetch_request(topic, 0, max_bytes=8 * MEBIBYTE, partition_max_bytes=8 * MEBIBYTE)
            for _ in range(40):
                reader.send(request, FETCH_VERSION)
        assert_healthy(broker)
        assert memory_bytes(broker) - before < 120 * MEBIBYTE
    assert_healthy(broker)


def test_a_port_in_use_is_one_line_and_exit_code_4(broker: BrokerProcess, tmp_path: Path) -> None:
    command = CommandProcess(["broker", "--data-dir", str(tmp_path / "d"), "--port", str(broker.port)])
    assert command.wait() == EXIT_UNAVAILABLE
    assert len(command.stderr.text.splitlines()) == 1
    assert str(broker.port) in command.stderr.text


def test_a_data_directory_in_use_is_one_line_and_exit_code_4(broker: BrokerProcess) -> None:
    command = CommandProcess(["broker", "--data-dir", str(broker.data_dir), "--port", "0"])
    assert command.wait() == EXIT_UNAVAILABLE
    assert len(command.stderr.text.splitlines()) == 1
    assert str(broker.data_dir) in command.stderr.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_broker_cleanly_whatever_clients_do(
    tmp_path: Path, number: signal.Signals
) -> None:
    join = JoinGroupRequest(
        group_id="g",
        session_timeout_ms=30_000,
        rebalance_timeout_ms=60_000,
        member_id="",
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
    )
    with BrokerProcess(tmp_path / "d", "--auto-create-topics") as broker, connect(broker) as idle:
        with WireClient(broker.address) as reader, WireClient(broker.address) as member:
            idle.sendall(b"\0\0\0")
            reader.send(fetch_request("t", 0, max_wait_ms=60_000), FETCH_VERSION)
            # The first joins; the second makes the group wait for the first, for a minute.
            member.ask(join, 3)
            member.send(join, 3)
            began = time.monotonic()
            psutil.Process(broker.pid).send_signal(number)
            assert broker.wait() == 0
        assert time.monotonic() - began < 5
        assert broker.stderr.text == ""


def test_a_broker_that_was_stopped_cleanly_has_nothing_to_repair(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "d") as broker:
        assert broker.terminate() == 0
        broker.restart()
        assert broker.stderr.text == ""
        assert_healthy(broker)


def test_a_full_disk_refuses_what_does_not_fit_and_takes_it_when_there_is_room(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; the system reports both the same way."""
    with (
        BrokerProcess(tmp_path / "d", "--auto-create-topics") as broker,
        WireClient(broker.address) as client,
    ):
        client.ask(MetadataRequest(topics=[MetadataRequestTopic(name="t")]), 9)
        process = psutil.Process(broker.pid)
        _, most = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (3_000, most))
        batch = build([NewRecord(b"k", bytes(1_000))])
        errors = [client.produce("t", batch).error_code for _ in range(5)]
        assert errors == [ErrorCode.NONE] * 2 + [ErrorCode.KAFKA_STORAGE_ERROR] * 3
        assert client.fetch("t", 0).high_watermark == 2
        process.rlimit(psutil.RLIMIT_FSIZE, (most, most))
        answer = client.produce("t", batch)
        assert (answer.error_code, answer.base_offset) == (ErrorCode.NONE, 2)
        broker.kill()
        broker.restart()
        with WireClient(broker.address) as again:
            assert again.fetch("t", 0).high_watermark == 3
