"""`trunkline quality`."""

import random
from pathlib import Path

import msgspec
import pytest

from trunkline.cli._common import service_store_url
from trunkline.cli.main import run
from trunkline.testing.suite.cases.quality import CASE
from trunkline.testing.suite.harness import running
from trunkline.testing.suite.streams import batches


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service has seen a month of one tenant."""
    directory = tmp_path_factory.mktemp("data")
    events = [event for event in CASE.events(11) if event.tenantid == "acme"]
    with running(CASE, service_store_url(directory, CASE.service), directory / "keys") as harness:
        harness.apply_all(batches(events, random.Random(0)))
    return directory


def lines(text: str) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def test_assets_and_anomalies_are_listed(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--tenant", "acme", "--data-dir", str(data_dir)]
    assert run(["quality", "assets", *at]) == 0
    assert "urn:table:main.orders" in capsys.readouterr().out
    assert run(["quality", "anomalies", "--asset", "orders", "--json", *at]) == 0
    found = lines(capsys.readouterr().out)
    dropped = next(one for one in found if one["metric"] == "rows_written")
    assert run(["quality", "explain", str(dropped["id"]), *at]) == 0
    assert capsys.readouterr().out.startswith(
        "rows_written of urn:table:main.orders was 400, expected between"
    )
    assert run(["quality", "anomalies", "--open", "--tenant", "nobody", "--data-dir", str(data_dir)]) == 0


def test_a_check_is_decided_on(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--tenant", "acme", "--data-dir", str(data_dir)]
    assert run(["quality", "checks", "--json", *at]) == 0
    [one, *_] = lines(capsys.readouterr().out)
    assert one["state"] == "proposed"
    assert run(["quality", "decide", str(one["id"]), "active", "--actor", "ada", *at]) == 0
    assert capsys.readouterr().out == f"check {one['id']} is active\n"
    assert run(["quality", "checks", "--state", "active", "--json", *at]) == 0
    assert [found["id"] for found in lines(capsys.readouterr().out)] == [one["id"]]
    assert run(["quality", "decide", str(one["id"]), "gone", "--actor", "ada", *at]) == 2
    assert run(["quality", "decide", "none", "active", "--actor", "ada", *at]) == 2


def test_a_store_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quality", "assets", "--tenant", "acme", "--data-dir", str(tmp_path)]) == 2
    assert "has no store" in capsys.readouterr().err
