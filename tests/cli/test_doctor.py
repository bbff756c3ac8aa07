"""`trunkline doctor`: lines for people, JSON for programs, and an exit code for scripts."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.operate.doctor.findings import Family

Trunkline = Callable[..., Any]


def test_a_service_that_is_well_is_told_line_by_line(
    trunkline: Trunkline, fresh_cluster: str, tmp_path: Path
) -> None:
    ran = trunkline("doctor", "audit-service", "-b", fresh_cluster, "--data-dir", str(tmp_path))
    assert ran.code == 0
    *lines, counts = ran.out.splitlines()
    told = [(line[:11].strip(), line[13:25].strip()) for line in lines]
    assert list(dict.fromkeys(family for _, family in told)) == list(Family)
    assert {family for verdict, family in told if verdict == "ok"} >= {"reachability", "brokers", "topics"}
    assert ("not used", "rights") in told
    assert [family for verdict, family in told if verdict == "failed"] == []
    assert lines[0].startswith(f"ok           reachability  {fresh_cluster}: connected to 127.0.0.1 in ")
    assert " ok, " in counts
    assert list(tmp_path.iterdir()) == []


def test_json_has_every_finding(trunkline: Trunkline, fresh_cluster: str) -> None:
    ran = trunkline("doctor", "-b", fresh_cluster, "--json")
    assert ran.code == 0
    told = ran.json()
    assert told["service"] is None
    assert sum(told["counts"].values()) == len(told["findings"])
    assert {"family", "about", "verdict", "text", "remedy"} == set(told["findings"][0])


def test_the_exit_code_tells_a_failure(trunkline: Trunkline) -> None:
    ran = trunkline("doctor", "audit-service", "-b", "127.0.0.1:1", "--json")
    assert ran.code == 1
    assert ran.json()["counts"]["failed"] == 1


def test_another_environment_is_told_by_what_differs(trunkline: Trunkline, fresh_cluster: str) -> None:
    ran = trunkline("doctor", "-b", fresh_cluster, "--environment", "production")
    assert ran.code == 1
    assert "1 up (1), the contract has 3 in production" in ran.out
    assert "retention.ms is 604800000, the contract has 2592000000" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audit-servise",), "did you mean audit-service"),
        (("--environment", "prod"), "unknown environment 'prod'; did you mean production?"),
        (("-b", "kafka:0"), "is not HOST:PORT"),
        (("--client-properties", "/nowhere"), "client properties /nowhere"),
    ],
)
def test_a_mistake_of_the_user_is_one_line(
    trunkline: Trunkline, arguments: tuple[str, ...], said: str
) -> None:
    ran = trunkline("doctor", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_the_variables_of_a_service_are_the_doctors(
    trunkline: Trunkline, fresh_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_BOOTSTRAP_SERVERS", fresh_cluster)
    monkeypatch.setenv("TRUNKLINE_STORE", f"sqlite:///{tmp_path / 'one.db'}")
    monkeypatch.setenv("TRUNKLINE_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("TRUNKLINE_SASL_MECHANISM", "NONE")
    ran = trunkline("doctor", "audit-service")
    assert ran.code == 1
    assert "NONE: the Kafka client refuses its settings" in ran.out
    assert f"there is no file {tmp_path / 'one.db'}" in ran.out


def test_an_install_without_the_services_says_what_to_install(
    trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trunkline.operate.doctor.run", None)
    ran = trunkline("doctor")
    assert ran.code == 4
    assert "pip install trunkline[services]" in ran.err
