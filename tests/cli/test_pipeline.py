"""`trunkline pipeline`."""

from pathlib import Path

import msgspec
import pytest

from trunkline.cli.main import run


def test_a_run_is_told_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--tenant", "acme", "--data-dir", str(tmp_path)]
    assert (
        run(["pipeline", "start", "dbt.orders", "--namespace", "w", "--run", "r", "--output", "orders", *at])
        == 0
    )
    assert capsys.readouterr().out == "r\n"
    assert run(["pipeline", "progress", "r", "--percent", "40", *at]) == 0
    assert run(["pipeline", "fail", "r", "--message", "no", *at]) == 0
    assert run(["pipeline", "complete", "r", *at]) == 1
    assert "is failed and cannot complete; what it can do is start" in capsys.readouterr().err
    assert run(["pipeline", "start", "dbt.orders", "--namespace", "w", "--run", "r", *at]) == 0
    assert run(["pipeline", "abort", "r", "--actor", "ada", *at]) == 0
    capsys.readouterr()
    assert run(["pipeline", "show", "r", "--json", *at]) == 0
    shown = msgspec.json.decode(capsys.readouterr().out)
    assert (shown["run"]["state"], shown["run"]["outputs"]) == ("aborted", ["urn:table:main.orders"])
    assert [step["state"] for step in shown["steps"]] == [
        "started",
        "running",
        "failed",
        "started",
        "aborted",
    ]
    assert run(["pipeline", "show", "r", *at]) == 0
    assert "aborted, attempt 2" in capsys.readouterr().out
    assert run(["pipeline", "list", "--state", "aborted", *at]) == 0
    assert capsys.readouterr().out.startswith("r  w dbt.orders  aborted, attempt 2")


def test_what_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--tenant", "acme", "--data-dir", str(tmp_path)]
    assert run(["pipeline", "complete", "r", *at]) == 2
    run(["pipeline", "start", "j", "--namespace", "n", *at])
    capsys.readouterr()
    assert run(["pipeline", "show", "none", *at]) == 2
    assert run(["pipeline", "complete", "none", *at]) == 2
    assert run(["pipeline", "list", "--state", "lost", *at]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
