import json

import pytest

from trunkline.cli.bench import show
from trunkline.cli.main import run as run_command
from trunkline.testing.bench.run import Part, run


def test_one_part_alone_is_measured_against_its_targets_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    report = run([Part.CODEC], seconds=0.2, say=said.append)
    assert said == ["codec"]
    assert {item.part for item in report.figures} == {"event codec, 12 fields", "Kafka wire codec"}
    assert all(item.value > 0 and item.met is not None for item in report.figures)
    assert report.notes == ()
    show(report)
    out = capsys.readouterr().out
    assert all(item.name in out for item in report.figures)
    assert "≤ 6" in out


@pytest.mark.slow
def test_the_command_prints_parts_beside_their_peers_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    only = ["--only", "broker", "--only", "client"]
    assert run_command(["bench", *only, "--json", "--seconds", "0.2", "--rounds", "1"]) == 0
    report = json.loads(capfd.readouterr().out)
    ratios = {(item["part"], item["name"]): item["ratio"] for item in report["figures"]}
    for name in ("produce", "consume", "produce to consume p99", "ready"):
        assert ratios["embedded broker", name] > 0
    for name in ("publish", "consume and apply"):
        assert ratios["client", name] > 0
