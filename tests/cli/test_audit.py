"""`trunkline audit` and `trunkline service` as a user meets them."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli._audit_output import table_lines
from trunkline.cli.main import run
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.processes import BrokerProcess, CommandProcess

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "cloudtrail"
DEADLINE_S = 30.0


class Machine:
    """A data directory with a running audit service, and the command line on it."""

    def __init__(self, data_dir: Path, address: str, service: CommandProcess) -> None:
        self.data_dir = data_dir
        self.address = address
        self.service = service

    def wait_for_entries(self, count: int) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while (found := self.entries()) != count:
            assert time.monotonic() < deadline, f"{found} entries, not {count}: {self.service.stderr.text}"
            time.sleep(0.05)

    def wait_for_checkpoints(self) -> None:
        """Until every entry is under a checkpoint, which takes a moment after its commit."""
        deadline = time.monotonic() + DEADLINE_S
        while any(ledger["covered"] < ledger["entries"] for ledger in self.report()["tenants"]):
            assert time.monotonic() < deadline, self.service.stderr.text
            time.sleep(0.05)

    def entries(self) -> int:
        database = sqlite3.connect(self.data_dir / "services" / "audit-service.db")
        (count,) = database.execute("SELECT count(*) FROM audit_event").fetchone()
        database.close()
        return int(count)

    def report(self) -> dict[str, Any]:
        from trunkline.client.store import open_store
        from trunkline.services.audit.app import checkpoint_files, signing_key_path
        from trunkline.services.audit.note import load_verifier, public_key_path
        from trunkline.services.audit.verify import verify_store

        store = open_store(f"sqlite:///{self.data_dir / 'services' / 'audit-service.db'}")
        verifier = load_verifier(public_key_path(signing_key_path(self.data_dir)))
        report = verify_store(store, checkpoint_files(self.data_dir), verifier)
        store.close()
        built: dict[str, Any] = msgspec.to_builtins(report)
        return built

    def audit(self, command: str, *arguments: str) -> int:
        return run(["audit", command, *arguments, "--data-dir", str(self.data_dir)])


def records(count: int) -> list[dict[str, Any]]:
    return [
        {
            "eventTime": f"2026-01-02T03:{number // 60:02}:{number % 60:02}Z",
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutObject" if number % 2 else "GetObject",
            "eventID": f"event-{number}",
            "recipientAccountId": "123456789012" if number % 3 else "210987654321",
            "userIdentity": {"type": "IAMUser", "arn": f"arn:aws:iam::1:user/u{number % 4}"},
            "requestParameters": {"bucketName": f"bucket-{number}"},
        }
        for number in range(count)
    ]


@contextmanager
def running(data_dir: Path, address: str) -> Iterator[Machine]:
    """The audit service on this directory and broker, from its ready line to its graceful end."""
    ensure_topics(ConnectionOptions(bootstrap_servers=address), load_catalogue(), "development")
    command = ["service", "audit-service", "-b", address, "--data-dir", str(data_dir), "--json"]
    with CommandProcess(
        [*command, "--metrics-port", "0"], ready=lambda line: line.startswith("{")
    ) as service:
        yield Machine(data_dir, address, service)
        assert service.terminate() == 0, service.stderr.text


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of either engine for this module alone: the ledger is to hold nobody else's events."""
    if request.param == "embedded":
        broker: BrokerProcess = request.getfixturevalue("broker")
        yield broker.address
        return
    kafka_home: Path | None = request.getfixturevalue("kafka_home")
    with KafkaCluster(tmp_path_factory.mktemp("kafka"), kafka_home=kafka_home) as cluster:
        yield cluster.bootstrap_servers


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, address: str) -> Iterator[Machine]:
    """60 calls of two tenants, recorded and signed, in a ledger whose service goes on running."""
    data_dir = tmp_path_factory.mktemp("machine")
    (data_dir / "log.json").write_bytes(msgspec.json.encode({"Records": records(60)}))
    with running(data_dir, address) as machine:
        assert run(["import", "cloudtrail", str(data_dir / "log.json"), "-b", address]) == 0
        machine.wait_for_entries(60)
        machine.wait_for_checkpoints()
        yield machine


@pytest.fixture
def stopped(machine: Machine, tmp_path: Path) -> Path:
    """A copy of the data directory that a test may spoil."""
    (tmp_path / "services").mkdir()
    source = sqlite3.connect(machine.data_dir / "services" / "audit-service.db")
    copy = sqlite3.connect(tmp_path / "services" / "audit-service.db")
    source.backup(copy)
    source.close()
    copy.close()
    for path in [
        *(machine.data_dir / "audit" / "checkpoints").glob("*.*"),
        machine.data_dir / "audit" / "signing-key.pub",
    ]:
        target = tmp_path / path.relative_to(machine.data_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


@pytest.fixture
def printed(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[[], Any]:
    """The JSON that a command has printed."""
    return lambda: msgspec.json.decode(capfdbinary.readouterr().out)


def test_the_ready_line_names_store_and_metrics_and_the_metrics_are_served(machine: Machine) -> None:
    ready = msgspec.json.decode(machine.service.ready_line)
    assert ready["service"] == "audit-service"
    assert ready["store"].endswith("services/audit-service.db")
    with urlopen(f"http://127.0.0.1:{ready['metrics_port']}/metrics") as answer:
        assert b'trunkline_consumer_events_total{group="audit-service"' in answer.read()


def test_search_prints_json_for_programs(machine: Machine, printed: Callable[[], Any]) -> None:
    assert machine.audit("search", "--tenant", "210987654321", "--limit", "5", "--json") == 0
    page = printed()
    assert [entry["seq"] for entry in page["entries"]] == [19, 18, 17, 16, 15]
    arguments = ["--tenant", "210987654321", "--limit", "100", "--after", page["next"], "--json"]
    assert machine.audit("search", *arguments) == 0
    assert [entry["seq"] for entry in printed()["entries"]] == list(range(14, -1, -1))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--actor", "arn:aws:iam::1:user/u1"], 15),
        (["--action", "s3.amazonaws.com:PutObject"], 30),
        (["--resource", "bucket-7"], 1),
        (["--resource-type", "AWS::S3::Bucket"], 60),
        (["--text", "bucket-7"], 1),
        (["--text", "bucket-5*"], 11),
        (["--outcome", "denied"], 0),
        (["--type", "access.api_called.v1"], 60),
        (["--from", "2026-01-02T03:00:10Z", "--to", "2026-01-02T03:00:20Z"], 10),
        (["--from", "2026-01-03"], 0),
        (["--correlation", "none"], 0),
    ],
)
def test_search_finds_by_every_condition(
    machine: Machine, printed: Callable[[], Any], arguments: list[str], found: int
) -> None:
    assert machine.audit("search", *arguments, "--limit", "100", "--json") == 0
    assert len(printed()["entries"]) == found


def test_search_prints_a_line_an_entry_for_people(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.audit("search", "--resource", "bucket-7") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "bucket-7" in line)
    assert "s3.amazonaws.com:PutObject" in line
    assert "arn:aws:iam::1:user/u3" in line


@pytest.mark.parametrize(("width", "columns"), [(40, 5), (80, 5), (130, 7), (200, 8)])
def test_a_row_takes_one_line_of_a_terminal(width: int, columns: int) -> None:
    row = dict.fromkeys(("time", "seq", "outcome", "id"), "x" * 20)
    arn = "arn:aws:iam::123456789012:user/division/ana"
    row |= {"tenant": "123456789012", "actor": arn, "action": "s3:Get", "resource": arn}
    heading, line, _ = table_lines([row, row | {"actor": "-"}], width=width)
    assert len(heading.split()) == len(line.split()) == columns
    if width >= 80:
        assert len(line) <= width
        assert "/ana  " in line
        assert "s3:Get  " in line


def test_verify_says_ok_while_the_service_runs(machine: Machine, printed: Callable[[], Any]) -> None:
    assert machine.audit("verify", "--json") == 0
    report = printed()
    assert (report["ok"], report["entries"], report["findings"]) == (True, 60, [])


def test_a_flipped_byte_makes_verify_name_the_row(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = sqlite3.connect(stopped / "services" / "audit-service.db")
    (body,) = database.execute(
        "SELECT body FROM audit_event WHERE tenant = '210987654321' AND seq = 7"
    ).fetchone()
    bent = bytes([body[0] ^ 1]) + body[1:]
    database.execute("UPDATE audit_event SET body = ? WHERE tenant = '210987654321' AND seq = 7", (bent,))
    database.commit()
    database.close()
    assert run(["audit", "verify", "--data-dir", str(stopped)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("tenant 210987654321 entry 7 (event ")
    assert "NOT OK, 1 finding: 60 entries verified" in shown


def test_an_export_verifies_offline(machine: Machine, tmp_path: Path, printed: Callable[[], Any]) -> None:
    export = tmp_path / "export.jsonl"
    assert machine.audit("export", "--output", str(export), "--json") == 0
    assert printed() == {"lines": 62, "output": str(export)}
    files = sorted((machine.data_dir / "audit" / "checkpoints").glob("*.txt"))
    key = str(machine.data_dir / "audit" / "signing-key.pub")
    signed = [argument for file in files for argument in ("--checkpoint", str(file))]
    offline = ["audit", "verify", "--offline", str(export), *signed, "--public-key", key, "--json"]
    assert run(offline) == 0
    assert printed()["entries"] == 60
    export.write_bytes(export.read_bytes().replace(b"PutObject", b"GetObject", 1))
    assert run(offline) == 1
    assert printed()["finding_count"] >= 1


def test_an_export_goes_to_standard_output(
    machine: Machine, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert machine.audit("export", "--tenant", "210987654321") == 0
    assert len(capfdbinary.readouterr().out.splitlines()) == 21


def test_a_proof_is_given_and_checked(machine: Machine, tmp_path: Path, printed: Callable[[], Any]) -> None:
    assert machine.audit("search", "--resource", "bucket-7", "--json") == 0
    event_id = printed()["entries"][0]["id"]
    assert machine.audit("proof", event_id) == 0
    proof = printed()
    path = tmp_path / "proof.json"
    path.write_bytes(msgspec.json.encode(proof))
    assert machine.audit("proof", "--check", str(path), "--json") == 0
    assert printed()["id"] == event_id
    proof["entry"]["outcome"] = "denied"
    path.write_bytes(msgspec.json.encode(proof))
    assert machine.audit("proof", "--check", str(path)) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["search", "--from", "yesterday"], "--from 'yesterday'"),
        (["search", "--outcome", "maybe"], "known are denied, failure, success"),
        (["search", "--type", "query.complete.v1"], "did you mean query.completed.v1"),
        (["search", "--limit", "0"], "a page has 1 to 1000"),
        (["search", "--text", "-"], "no word"),
        (["search", "--after", "x"], "cursor 'x'"),
        (["verify", "--offline", "x"], "--checkpoint FILE"),
        (["verify", "--offline", "/nowhere", "--checkpoint", "/nowhere"], "/nowhere"),
        (["verify", "--public-key", "/nowhere"], "/nowhere"),
        (["proof"], "either an event id"),
        (["proof", "absent"], "not in the ledger"),
        (["proof", "--check", "/nowhere"], "/nowhere"),
        (["export", "--output", "/nowhere/x"], "/nowhere/x"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    machine: Machine, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert machine.audit(*arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert complaint in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize("command", [["search"], ["verify"], ["export"], ["proof", "x"]])
def test_without_a_ledger_nothing_is_created(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", *command, "--data-dir", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["search"], ["export"], ["proof", "x"]])
def test_a_database_of_something_else_is_one_line(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    database = sqlite3.connect(tmp_path / "other.db")
    database.execute("CREATE TABLE t (x)")
    database.close()
    assert run(["audit", *command, "--store", f"sqlite:///{tmp_path / 'other.db'}"]) == 1
    shown = capsys.readouterr().err
    assert "no audit ledger can be read there (no such table" in shown
    assert len(shown.splitlines()) == 1


def test_a_service_refuses_a_store_that_was_rewritten(stopped: Path, machine: Machine) -> None:
    database = sqlite3.connect(stopped / "services" / "audit-service.db")
    database.execute("UPDATE audit_tile SET hashes = zeroblob(length(hashes))")
    database.commit()
    database.close()
    key = (machine.data_dir / "audit" / "signing-key.pem").read_bytes()
    (stopped / "audit" / "signing-key.pem").write_bytes(key)
    arguments = ["service", "audit-service", "-b", machine.address, "--data-dir", str(stopped)]
    with CommandProcess(arguments) as service:
        assert service.wait() == 1
        assert "are not those signed; see `trunkline audit verify`" in service.stderr.text


@pytest.mark.skipif(not REAL.is_dir(), reason="the real CloudTrail logs are not at ../shared/data")
def test_the_real_logs_are_recorded_once_however_often_they_are_imported(
    tmp_path: Path, broker_factory: Callable[..., BrokerProcess], printed: Callable[[], Any]
) -> None:
    address = broker_factory().address
    with running(tmp_path, address) as machine:
        for _ in range(2):
            assert run(["import", "cloudtrail", str(REAL), "-b", address, "--json"]) == 0
            assert printed()["acknowledged"] == 2_273
            machine.wait_for_entries(2_273)
        machine.wait_for_checkpoints()
        assert machine.audit("verify", "--json") == 0
        report = printed()
        assert (report["entries"], report["tenants"][0]["covered"]) == (2_273, 2_273)


def test_a_missing_database_is_not_taken_for_an_empty_one(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stopped / "services" / "audit-service.db").unlink()
    assert run(["audit", "verify", "--data-dir", str(stopped)]) == 1
    assert "the ledger is gone, although 2 tenants of it have signed checkpoints" in capsys.readouterr().err
