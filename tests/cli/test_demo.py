import json
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import run


def demo(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = run(["demo", "--seconds", "2", "--rate", "300", "--json", *options])
    said = capsys.readouterr()
    assert said.out, said.err
    report: dict[str, Any] = json.loads(said.out)
    return code, report


def broken(report: dict[str, Any]) -> list[str]:
    return [claim["name"] for claim in report["claims"] if not claim["holds"]]


def test_every_claim_holds_and_all_ten_topics_carry_events(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = demo(capsys)
    assert broken(report) == []
    assert report["ok"] is True
    assert code == 0
    assert set(report["in_log_by_topic"]) == set(load_catalogue().topics)
    assert all(report["in_log_by_topic"].values())


@pytest.mark.slow
def test_an_event_that_is_in_the_log_twice_breaks_a_claim(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = demo(capsys, "--sabotage", "repeat")
    assert code == 1
    assert report["ok"] is False
    assert "no event is in the log twice" in broken(report)
    # The consumer recognised the duplicate: what took effect is unharmed.
    assert "no event took effect twice" not in broken(report)


@pytest.mark.slow
def test_an_effect_that_was_lost_breaks_claims(capsys: pytest.CaptureFixture[str]) -> None:
    code, report = demo(capsys, "--sabotage", "lose")
    assert code == 1
    assert "the audit ledger verifies" in broken(report)
    assert "every event in the log took effect, and nothing else did" in broken(report)


@pytest.mark.slow
def test_a_service_that_has_miscounted_is_found_out_by_sql_over_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, report = demo(capsys, "--sabotage", "miscount")
    assert code == 1
    assert broken(report) == ["what is billed is what SQL finds in the log"]


@pytest.mark.parametrize("alone", [("--bootstrap-servers", "127.0.0.1:1"), ("--secrets", ".")])
def test_a_cluster_and_its_secrets_go_together(
    capsys: pytest.CaptureFixture[str], alone: tuple[str, str]
) -> None:
    assert run(["demo", *alone]) == 2
    assert "--bootstrap-servers and --secrets go together" in capsys.readouterr().err


def test_an_environment_without_its_cluster_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--environment", "production"]) == 2
    assert "--environment production goes with --bootstrap-servers" in capsys.readouterr().err
