"""`trunkline notifications` as a user meets it."""

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from trunkline.catalogue.events.pipeline import PipelineRunFailed
from trunkline.cli.main import run
from trunkline.services.notification.tables import SECRET
from trunkline.testing.notification_desk import NAME, NotificationDesk

FAILED = PipelineRunFailed(
    run_id="r", job="orders", namespace="dwh", duration_ms=1, error_code="boom", message="it broke"
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A service's store with one event in it."""
    url = f"sqlite:///{tmp_path / 'services' / f'{NAME}.db'}"
    with NotificationDesk(url, tmp_path / "desk") as desk:
        desk.handle(desk.event(FAILED))
        with desk.writing() as tx:
            # Sealed by the desk's key ring, not by that of the command line.
            tx.execute(delete(SECRET))
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], data_dir: Path, *words: str) -> Any:
    code = run(["notifications", *words, "--tenant", "acme", "--data-dir", str(data_dir), "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    return msgspec.json.decode(out.out)


def told(capsys: pytest.CaptureFixture[str], data_dir: Path, *words: str) -> tuple[int, str]:
    code = run(["notifications", *words, "--tenant", "acme", "--data-dir", str(data_dir)])
    out = capsys.readouterr()
    return code, out.out + out.err


def test_history_incidents_deliveries_and_the_reason(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (notification,) = answer(capsys, data_dir, "history")
    assert notification["rule"] == "pipeline-failed"
    (incident,) = answer(capsys, data_dir, "incidents", "--state", "firing")
    assert incident["key"] == "dwh/orders"
    (delivery,) = answer(capsys, data_dir, "deliveries", "--state", "pending")
    assert answer(capsys, data_dir, "inbox") == []
    code, text = told(capsys, data_dir, "explain", "event-1")
    assert code == 0
    assert "rule pipeline-failed: notified: it opened a notification" in text
    assert f"waits to be sent  ({delivery['id']})" in text
    assert "rule quota-exceeded: not concerned: it is about usage.quota_exceeded.v1" in text


def test_a_delivery_is_discarded_and_retried(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (delivery,) = answer(capsys, data_dir, "deliveries")
    assert told(capsys, data_dir, "discard", delivery["id"])[0] == 0
    assert answer(capsys, data_dir, "deliveries")[0]["reason"] == "discarded"
    assert answer(capsys, data_dir, "retry", delivery["id"]) == {"retried": 1}
    assert answer(capsys, data_dir, "deliveries")[0]["state"] == "pending"


def test_silences_secrets_addresses_and_preferences(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    added = answer(
        capsys, data_dir, "silence", "add", "--for", "2h", "--comment", "moving", "--rule", "quota-exceeded"
    )
    assert [one["id"] for one in answer(capsys, data_dir, "silence", "list")] == [added["id"]]
    assert told(capsys, data_dir, "silence", "end", added["id"])[0] == 0
    assert told(capsys, data_dir, "secret", "generate", "ops")[1].startswith("whsec_")
    assert told(capsys, data_dir, "secret", "forget", "ops")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("ada@acme.example\n"))
    assert told(capsys, data_dir, "user", "address", "ada")[0] == 0
    assert told(capsys, data_dir, "user", "prefer", "ada", "digest", "--category", "quality")[0] == 0
    code, text = told(capsys, data_dir, "channels", "test", "inbox")
    assert (code, text) == (0, "*: sent: an inbox needs no trying out\n")
    assert answer(capsys, data_dir, "rules", "list")["refused"] == {}


def test_a_rule_is_tried_on_the_past(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = data_dir / "rule.json"
    rule.write_text('{"title": "x", "when": {"types": ["pipeline.*"]}, "key": "{{ data.job }}"}')
    assert answer(capsys, data_dir, "rules", "dry-run", str(rule), "--since", "9999d")["fires"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "nothing"], "none of acme with this id has come"),
        (["retry", "nothing"], "acme has no delivery nothing"),
        (["retry", "--channel", "nothing", "--since", "2h"], "acme has no channel 'nothing'"),
        (["retry"], "give the id of a delivery, or --channel and --since"),
        (["deliveries", "--state", "gone"], "a delivery is pending"),
        (["silence", "add", "--for", "2 hours", "--comment", "x"], "write 90s, 30m, 2h or 7d"),
        (["silence", "add", "--for", "2h", "--comment", " "], "say why"),
        (
            ["silence", "add", "--for", "2h", "--comment", "x", "--rule", "pipeline-faild"],
            "there is no rule pipeline-faild; did you mean pipeline-failed",
        ),
        (["silence", "end", "nothing"], "none of this id that is in force"),
        (["channels", "test", "nothing"], "there are inbox"),
        (["user", "prefer", "ada", "loud"], "choose off, immediate or digest"),
        (["rules", "dry-run", "/nowhere.json"], "cannot read it"),
    ],
)
def test_a_slip_is_one_readable_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, text = told(capsys, data_dir, *words)
    assert code != 0
    assert said in text
    assert len(text.strip().splitlines()) == 1
