"""`trunkline contract` as a user calls it."""

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.snapshot import packaged_snapshot_path
from trunkline.cli.main import run


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A copy of the packaged snapshot that a test may change."""
    path = tmp_path / "recorded.json"
    path.write_bytes(packaged_snapshot_path().read_bytes())
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def drop_event(path: Path, event: str) -> None:
    contract = json.loads(path.read_text())
    del contract["events"][event]
    path.write_text(json.dumps(contract))


def test_the_contract_of_this_version_is_on_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "check"]) == 0
    assert capsys.readouterr().out == "no changes\n"


def test_export_writes_schemas_asyncapi_and_the_snapshot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["contract", "export", "-o", str(tmp_path / "out"), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert len(written) == len(EVENT_TYPES) + 2
    for path in (tmp_path / "out" / "schemas").iterdir():
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))
    assert json.loads((tmp_path / "out" / "asyncapi.json").read_text())["asyncapi"] == "3.0.0"
    assert (tmp_path / "out" / "contract.json").read_bytes() == packaged_snapshot_path().read_bytes()


def test_export_removes_schemas_of_types_that_are_gone_and_nothing_else(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    for name in ("query.gone.v1.schema.json", "mine.schema.json", "notes.txt"):
        (schemas / name).write_text("{}")
    assert run(["contract", "export", "-o", str(tmp_path)]) == 0
    left = {path.name for path in schemas.iterdir()}
    assert left == {f"{name}.schema.json" for name in EVENT_TYPES} | {"mine.schema.json", "notes.txt"}


def test_a_breaking_change_exits_1_and_names_its_victims(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(recorded, '"ml.model.events": {\n      "publisher"', '"ml.gone.events": {\n      "publisher"')
    assert run(["contract", "check", "--against", str(recorded)]) == 1
    captured = capsys.readouterr()
    assert "breaking: ml.gone.events: the topic is gone" in captured.out
    assert "would hurt audit-service, catalog-service, ml-service" in captured.err
    assert captured.err.count("\n") == 1


def test_a_compatible_change_that_is_not_on_record_says_how_to_record_it(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_event(recorded, "query.denied.v1")
    assert run(["contract", "check", "--against", str(recorded)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "compatible: query.denied.v1: the event type is new\n"
    assert "run `trunkline contract export --snapshot`" in captured.err

    assert run(["contract", "export", "--snapshot", "--against", str(recorded)]) == 0
    assert recorded.read_bytes() == packaged_snapshot_path().read_bytes()
    assert run(["contract", "check", "--against", str(recorded)]) == 0


def test_a_breaking_change_is_recorded_only_if_accepted(recorded: Path) -> None:
    edit(recorded, '"query-engine",\n', '"query-engine",\n    "gone-service",\n')
    before = recorded.read_bytes()
    assert run(["contract", "export", "--snapshot", "--against", str(recorded)]) == 1
    assert recorded.read_bytes() == before
    assert run(["contract", "export", "--snapshot", "--accept-breaking", "--against", str(recorded)]) == 0
    assert run(["contract", "check", "--against", str(recorded)]) == 0


def test_diff_lists_changes_in_json_and_exits_0(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drop_event(recorded, "query.denied.v1")
    assert run(["contract", "diff", str(packaged_snapshot_path()), str(recorded), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["breaking"] == 1
    assert report["hurts"] == ["audit-service", "billing-service", "data-quality-service"]
    assert report["changes"][0]["code"] == "event_removed"


def test_a_users_catalogue_is_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.yaml"
    packaged = packaged_snapshot_path().with_name("contract.yaml").read_text()
    mine.write_text(packaged.replace("retention_days: 30", "retention_days: 3"))
    assert run(["contract", "check", "--catalogue", str(mine)]) == 1
    assert "a consumer that is behind loses events sooner" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "--against", "/nonexistent"], "cannot read the snapshot /nonexistent"),
        (["check", "--catalogue", "/nonexistent"], "cannot read the catalogue /nonexistent"),
        (["diff", "/nonexistent", "/nonexistent"], "cannot read the snapshot /nonexistent"),
        (["export", "-o", "/dev/null/x"], "cannot write /dev/null/x"),
        (["export", "--environment", "prod"], "unknown environment 'prod'; did you mean production?"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["contract", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["export", "check", "diff"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", command, "--help"]) == 0
    assert f"trunkline contract {command}" in capsys.readouterr().out
