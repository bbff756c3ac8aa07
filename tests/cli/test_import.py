"""`trunkline import`, against a broker: counts, exit codes, and nothing twice."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import run
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.testing.lineage import assertion, run_of_tests
from trunkline.testing.processes import BrokerProcess, CommandProcess

TOPIC = "security.audit.events"

EVENT = {
    "specversion": "1.0",
    "source": "/elsewhere",
    "type": "auth.login_succeeded.v1",
    "time": "2026-01-02T03:04:05Z",
    "tenantid": "acme",
    "data": {"user_id": "u-17", "method": "sso"},
}
RECORD = {
    "eventTime": "2026-01-02T03:04:05Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetBucketAcl",
    "recipientAccountId": "123456789012",
}


@pytest.fixture(scope="module")
def address(broker: BrokerProcess) -> str:
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(), "development")
    return broker.address


def in_log(address: str, topic: str = TOPIC) -> int:
    admin = Admin(admin_config(ConnectionOptions(bootstrap_servers=address)))
    return sum(high for _, high in admin.offsets([(topic, number) for number in range(3)]).values())


def counts(text: str) -> dict[str, int]:
    return msgspec.json.decode(text, type=dict[str, int])


def summary(read: int, published: int, bad: int = 0) -> dict[str, int]:
    return {"read": read, "published": published, "acknowledged": published, "failed": 0, "bad": bad}


def test_cloudtrail_logs_are_published_and_acknowledged(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [RECORD | {"eventID": f"e-{number}"} for number in range(50)]
    (tmp_path / "log.json").write_bytes(msgspec.json.encode({"Records": records}))
    before = in_log(address)
    assert run(["import", "cloudtrail", str(tmp_path), "-b", address, "--json"]) == 0
    assert counts(capsys.readouterr().out) == summary(50, 50)
    assert in_log(address) == before + 50


def test_bad_files_are_named_the_others_imported_and_the_exit_code_is_1(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_bytes(b"{")
    records = [RECORD | {"eventID": "good"}, RECORD]
    (tmp_path / "log.json").write_bytes(msgspec.json.encode({"Records": records}))
    assert run(["import", "cloudtrail", str(tmp_path), "-b", address, "--json"]) == 1
    shown = capsys.readouterr()
    assert counts(shown.out) == summary(3, 1, bad=2)
    assert f"{tmp_path / 'bad.json'}: not a CloudTrail log" in shown.err
    assert f"{tmp_path / 'log.json'}:2: not a CloudTrail record: it lacks eventID" in shown.err


def test_bad_input_is_shown_up_to_a_bound(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.json").write_bytes(msgspec.json.encode({"Records": [{}] * 200}))
    assert run(["import", "cloudtrail", str(tmp_path), "-b", address]) == 1
    shown = capsys.readouterr()
    assert shown.out == "200 read, 0 published, 0 acknowledged, 0 failed, 200 bad\n"
    assert len(shown.err.splitlines()) == 21


def test_cloudevents_go_to_the_topics_of_their_types(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = next(item for item in EVENT_TYPES.values() if item.topic == "ml.model.events")
    model: dict[str, Any] = {"type": declared.type, "data": dict(declared.example)}
    path = tmp_path / "events.jsonl"
    lines = [EVENT | {"id": "1"}, EVENT | model | {"id": "2"}]
    path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines))
    before = in_log(address), in_log(address, "ml.model.events")
    assert run(["import", "cloudevents", str(path), "-b", address, "--json"]) == 0
    assert counts(capsys.readouterr().out) == summary(2, 2)
    assert (in_log(address), in_log(address, "ml.model.events")) == (before[0] + 1, before[1] + 1)


def test_a_bad_line_is_named_and_the_exit_code_is_1(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(msgspec.json.encode(EVENT | {"id": "9"}) + b"\njunk\n")
    assert run(["import", "cloudevents", str(path), "-b", address, "--json"]) == 1
    shown = capsys.readouterr()
    assert counts(shown.out) == summary(2, 1, bad=1)
    assert shown.err.startswith(f"{path}:2: not a CloudEvent")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Lets children see SIGINT also where the tests run in a shell's background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_import_says_what_was_acknowledged(address: str, tmp_path: Path) -> None:
    pipe = tmp_path / "events.jsonl"
    os.mkfifo(pipe)
    before = in_log(address)
    with CommandProcess(["import", "cloudevents", str(pipe), "-b", address, "--json"]) as importing:
        with pipe.open("wb") as still_open:
            still_open.write(msgspec.json.encode(EVENT | {"id": "interrupted"}) + b"\n")
            still_open.flush()
            deadline = time.monotonic() + 20
            while in_log(address) == before:
                assert time.monotonic() < deadline
            importing.interrupt()
            assert importing.wait() == 130
        assert counts(importing.stdout.text) == summary(1, 1)
        assert importing.stderr.text.splitlines()[-1] == "interrupted"


def test_a_cluster_without_the_topics_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(EVENT | {"id": str(number)}) for number in range(9)))
    with BrokerProcess(tmp_path / "empty") as empty:
        assert run(["import", "cloudevents", str(path), "-b", empty.address]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "has no topic security.audit.events" in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["cloudtrail", "/nowhere"], "/nowhere: no such file or directory"),
        (["cloudtrail", ".", "--tenant", "no tenant"], "--tenant 'no tenant'"),
        (["cloudevents", "/nowhere.jsonl"], "/nowhere.jsonl: cannot read it"),
    ],
)
def test_a_users_mistake_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", *arguments, "-b", "127.0.0.1:1"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert complaint in shown.err
    assert len(shown.err.splitlines()) == 1


def test_openlineage_runs_and_their_checks_go_to_two_topics(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(run_of_tests(assertion("unique"), assertion("not_null", success=False)) + b"\n")
    before = in_log(address, "pipeline.job.events"), in_log(address, "data.quality.events")
    assert run(["import", "openlineage", str(path), "--tenant", "acme", "-b", address, "--json"]) == 0
    assert counts(capsys.readouterr().out) == summary(3, 3)
    after = in_log(address, "pipeline.job.events"), in_log(address, "data.quality.events")
    assert after == (before[0] + 1, before[1] + 2)


def test_the_last_line_says_whose_events_they_have_become(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(run_of_tests(assertion("unique")) + b"\n")
    for option, tenant in (([], "system"), (["--tenant", "globex"], "globex")):
        assert run(["import", "openlineage", str(path), *option, "-b", address]) == 0
        assert capsys.readouterr().out.endswith(f"0 failed, 0 bad, for tenant {tenant}\n")


def test_a_bad_line_of_openlineage_is_named_and_the_exit_code_is_1(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"{}\n")
    assert run(["import", "openlineage", str(path), "-b", address, "--json"]) == 1
    assert capsys.readouterr().err.startswith(f"{path}:1: not an OpenLineage run event")
    assert run(["import", "openlineage", str(path), "-b", address, "--tenant", "no tenant"]) == 2
