"""Reachability: names and ports, the dead ones within seconds."""

import socket
import time
from collections.abc import Iterator

import pytest

from trunkline.operate.doctor import reach
from trunkline.operate.doctor.findings import Verdict
from trunkline.operate.doctor.reach import Address, Contact, addresses, contact, judge


@pytest.fixture
def listening() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Address(host="127.0.0.1", port=server.getsockname()[1])


def test_bootstrap_servers_are_read_as_librdkafka_reads_them() -> None:
    found = addresses("kafka, other:9093,SSL://third:1,[::1]:9094,::1")
    assert [str(one) for one in found] == ["kafka:9092", "other:9093", "third:1", "[::1]:9094", "[::1]:9092"]


def test_a_port_that_listens_is_ok_with_its_time(listening: Address) -> None:
    found = judge(contact(listening), others=True)
    assert found.verdict is Verdict.OK
    assert "connected to 127.0.0.1 in " in found.text
    assert " ms" in found.text


def test_a_closed_port_fails_and_says_why() -> None:
    found = judge(contact(Address(host="127.0.0.1", port=1)), others=False)
    assert found.verdict is Verdict.FAILED
    assert "Connection refused" in found.text


def test_a_server_that_is_away_is_a_warning_while_others_answer() -> None:
    found = judge(contact(Address(host="127.0.0.1", port=1)), others=True)
    assert found.verdict is Verdict.WARNING


def test_a_name_without_an_address_fails_apart_from_the_port() -> None:
    found = judge(contact(Address(host="broker.invalid", port=9092)), others=False)
    assert found.verdict is Verdict.FAILED
    assert "broker.invalid cannot be resolved" in found.text


def test_an_impossible_name_is_a_finding_and_no_crash() -> None:
    assert contact(Address(host="a" * 70 + ".x", port=1)).unresolved


def test_an_address_that_swallows_everything_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full backlog is as silent as a firewall that drops."""
    monkeypatch.setattr(reach, "CONNECT_SECONDS", 0.2)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = Address(host="127.0.0.1", port=server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", address.port)):
            begun = time.monotonic()
            found = contact(address)
    assert time.monotonic() - begun < 2
    assert found.silent == {"127.0.0.1": "no answer within 0.2 s"}


def test_some_silent_addresses_of_a_name_are_told_and_do_not_fail() -> None:
    found = judge(
        Contact(
            address=Address(host="kafka", port=1),
            answered={"10.0.0.1": 0.5},
            silent={"10.0.0.2": "Connection refused"},
        ),
        others=True,
    )
    assert found.verdict is Verdict.OK
    assert found.text == "connected to 10.0.0.1 in 0.5 ms; not at 10.0.0.2: Connection refused"
