from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.names import EventType, TenantId
from trunkline.client.handler import Refusal
from trunkline.client.store import Store, failures, migrate, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Record, encode, new_envelope
from trunkline.services import runnable

Trunkline = Callable[..., Any]
SERVICE = "audit-service"
LANE = Lane(group=SERVICE, cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def store(data_dir: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{data_dir}/services/{SERVICE}.db")
    migrate(opened)
    migrate(opened, runnable(SERVICE).components[0])
    yield opened
    opened.close()


@pytest.fixture
def ledger(store: Store) -> list[int]:
    """A failure that a replay cures, and one that it does not."""
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    envelope = new_envelope(
        event, tenant=TenantId("acme"), source="/s", time=datetime(2026, 1, 1, tzinfo=UTC), id="1"
    )
    good = encode(envelope)
    records = [
        Record(LANE.topic, 0, 0, 1_700_000_000_000, good.key, good.value, tuple(good.headers)),
        Record(LANE.topic, 0, 1, 1_700_000_000_000, b"acme", b"\xff garbage", (("ce_id", b"\xfe"),)),
    ]
    refusals = [Refusal("handler", "a bug that is fixed now"), Refusal("missing_header", "no ce_type")]
    with store.write() as tx:
        return [
            failures.add(tx, LANE, record, refusal, now_ms=1_700_000_000_000)
            for record, refusal in zip(records, refusals, strict=True)
        ]


def test_failures_are_listed_and_shown_whole(trunkline: Trunkline, data_dir: Path, ledger: list[int]) -> None:
    where = ("--data-dir", str(data_dir))
    listed = trunkline("failures", "list", *where, "--json").json()
    assert [(row["id"], row["reason"]) for row in listed] == list(
        zip(ledger, ["handler", "missing_header"], strict=True)
    )
    rows = trunkline("failures", "list", *where).out.splitlines()
    assert len(rows) == 3
    assert "query.execution.events/0@1" in rows[2]
    shown = trunkline("failures", "show", str(ledger[1]), *where, "--json").json()
    assert (shown["value"], shown["headers"]) == ("\\xff garbage", [["ce_id", "\\xfe"]])
    assert "header      ce_id: \\xfe" in trunkline("failures", "show", str(ledger[1]), *where).out


def test_a_replay_cures_what_can_be_cured_and_says_what_cannot(
    trunkline: Trunkline, data_dir: Path, ledger: list[int]
) -> None:
    where = ("--data-dir", str(data_dir))
    done = trunkline("failures", "replay", "--all", *where, "--json")
    assert done.code == 1
    told = done.json()
    assert [result["verdict"] for result in told["results"]] == ["replayed", "failed_again"]
    assert (told["replayed"], told["failed_again"], told["quarantined"]) == (1, 1, 0)
    assert "1 of 2 failed again" in done.err
    left = trunkline("failures", "list", *where, "--json").json()
    assert [(row["id"], row["attempts"]) for row in left] == [(ledger[1], 2)]
    again = trunkline("failures", "replay", str(ledger[0]), *where)
    assert (again.code, "is replayed already" in again.err) == (2, True)


def test_failures_are_counted_by_status_reason_and_topic(
    trunkline: Trunkline, data_dir: Path, ledger: list[int]
) -> None:
    where = ("--data-dir", str(data_dir))
    assert trunkline("failures", "replay", str(ledger[0]), *where).code == 0
    counted = trunkline("failures", "count", *where, "--json").json()
    assert [(row["status"], row["reason"], row["failures"], row["tenants"]) for row in counted] == [
        ("open", "missing_header", 1, 1),
        ("replayed", "handler", 1, 1),
    ]
    assert "missing_header" in trunkline("failures", "count", *where).out


def test_a_discarded_failure_keeps_its_reason(
    trunkline: Trunkline, data_dir: Path, ledger: list[int]
) -> None:
    where = ("--data-dir", str(data_dir))
    assert trunkline("failures", "discard", str(ledger[1]), "--reason", "noise", *where).code == 0
    (row,) = trunkline("failures", "list", "--status", "discarded", *where, "--json").json()
    assert (row["id"], row["note"]) == (ledger[1], "noise")
    assert len(trunkline("failures", "list", "--status", "all", *where, "--json").json()) == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("list", "--status", "closed"), "use open, replayed, discarded or all"),
        (("show", "99"), "no failure 99 in this ledger"),
        (("replay",), "say which failures to replay"),
        (("replay", "1", "--all"), "say which failures to replay"),
        (("discard", "1", "--reason", " "), "needs a reason"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    trunkline: Trunkline, data_dir: Path, ledger: list[int], *, arguments: tuple[str, ...], complaint: str
) -> None:
    done = trunkline("failures", *arguments, "--data-dir", str(data_dir))
    assert done.code == 2
    assert complaint in done.err
    assert done.err.count("\n") == 1


def test_a_service_without_a_store_is_a_wrong_path_not_an_empty_ledger(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    done = trunkline("failures", "list", "--data-dir", str(tmp_path / "elsewhere"))
    assert done.code == 2
    assert "audit-service has no store at" in done.err


def test_a_store_that_is_not_there_is_a_wrong_path_and_is_not_made(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    missing = tmp_path / "none.db"
    done = trunkline("failures", "list", "--store", f"sqlite:///{missing}")
    assert (done.code, missing.exists()) == (2, False)
    assert f"has no store at {missing}" in done.err
