"""`trunkline usage` on a store, whether or not the service runs, and `trunkline import llm-trace`."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.events.query import QueryCompleted
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import TenantId
from trunkline.cli._offline import offline
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.handler import Received
from trunkline.codec import Record, decode, encode_checked, new_envelope
from trunkline.services.billing.app import build
from trunkline.testing.processes import BrokerProcess

SERVICE = "billing-service"
LAST_MONTH = (datetime.now(UTC).replace(day=1, hour=12) - timedelta(days=1)).replace(microsecond=0)
PERIOD = f"{LAST_MONTH:%Y-%m}"


def received(number: int, *, arrived: datetime = LAST_MONTH) -> Received:
    event = QueryCompleted(
        query_id=f"q-{number}",
        user_id="ana",
        engine="duckdb",
        sql_fingerprint="0" * 64,
        duration_us=1,
        rows_returned=1,
        cpu_us=2_500_000,
        bytes_scanned=10,
    )
    envelope = new_envelope(
        event, tenant=TenantId("acme"), source="/query-engine", time=LAST_MONTH, id=f"query-{number}"
    )
    encoded = encode_checked(envelope)
    record = Record(
        "query.execution.events",
        0,
        number,
        int(arrived.timestamp() * 1_000),
        encoded.key,
        encoded.value,
        tuple(encoded.headers),
    )
    return Received(record, decode(record))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A directory in which billing has counted three queries, and doubts a fourth."""
    with offline(SERVICE, data_dir=tmp_path, create=True) as context:
        handler = build(context).handler
        assert handler is not None
        with context.store.write() as tx:
            early = LAST_MONTH - timedelta(hours=1)
            handler.handle(tx, [*(received(number) for number in range(3)), received(3, arrived=early)])
    return tmp_path


@pytest.fixture
def usage(trunkline: Callable[..., Any], data_dir: Path) -> Callable[..., Any]:
    def call(*arguments: str) -> Any:
        return trunkline("usage", *arguments, "--data-dir", str(data_dir))

    return call


def test_show_gives_usage_against_limits(usage: Callable[..., Any]) -> None:
    shown = usage("show", "--tenant", "acme", "--period", PERIOD)
    assert shown.code == 0
    assert [line.split()[:3] for line in shown.out.splitlines()[1:]] == [
        ["ACTIVE_USERS", "1", "users"],
        ["COMPUTE_SECONDS", "7.5", "seconds"],
        ["DATA_SCANNED_BYTES", "30", "bytes"],
        ["QUERY_EXECUTIONS", "3", "queries"],
    ]
    found = usage("show", "--tenant", "acme", "--period", PERIOD, "--groups", "--json").json()
    assert (len(found["meters"]), found["groups"]) == (4, [])
    nothing = usage("show", "--tenant", "globex")
    assert "has used nothing" in nothing.out


def test_explain_names_the_events_page_by_page_or_all(usage: Callable[..., Any]) -> None:
    wanted = ("explain", "--tenant", "acme", "--meter", "compute_seconds", "--period", PERIOD)
    page = usage(*wanted, "--limit", "2", "--json").json()
    assert [event["id"] for event in page["events"]] == ["query-0", "query-1"]
    rest = usage(*wanted, "--after", str(page["next"]), "--json").json()
    assert ([event["id"] for event in rest["events"]], rest["next"]) == (["query-2"], None)
    everything = usage(*wanted, "--all")
    assert [line.split()[1] for line in everything.out.splitlines()[1:]] == ["query-0", "query-1", "query-2"]


def test_close_makes_a_month_final_once(usage: Callable[..., Any]) -> None:
    closed = usage("close", "--tenant", "acme", "--period", PERIOD)
    assert closed.code == 0
    assert f"period {PERIOD} of acme is closed: 3 events" in closed.out
    again = usage("close", "--tenant", "acme", "--period", PERIOD)
    assert (again.code, "closed already" in again.err) == (1, True)
    (month,) = usage("periods", "--tenant", "acme", "--json").json()["periods"]
    assert month["state"] == "closed"
    assert PERIOD in usage("periods", "--tenant", "acme").out


def test_export_writes_focus(usage: Callable[..., Any], tmp_path: Path) -> None:
    wanted = ("export", "--tenant", "acme", "--period", PERIOD)
    rows = list(csv.DictReader(io.StringIO(usage(*wanted).out)))
    assert {row["SkuId"]: row["ConsumedQuantity"] for row in rows}["COMPUTE_SECONDS"] == "7.5"
    file = tmp_path / "out.csv"
    assert usage(*wanted, "--output", str(file)).code == 0
    with file.open(newline="") as written:
        assert list(csv.DictReader(written)) == rows
    assert usage(*wanted, "--json").json() == rows
    refused = usage(*wanted, "--output", str(tmp_path / "absent" / "out.csv"))
    assert (refused.code, "choose another --output" in refused.err) == (2, True)


def test_meters_are_listed(usage: Callable[..., Any]) -> None:
    assert "sum cpu_us × 0.000001" in usage("meters").out
    assert usage("meters", "--json").json()["refused"] == []


def test_check_compares_numbers_with_facts(usage: Callable[..., Any]) -> None:
    assert usage("check").out == "1 period checked, 0 differences\n"
    assert usage("check", "--json").json() == {"ok": True, "periods": 1, "differences": []}


def test_the_quarantine_is_listed_and_decided_on(usage: Callable[..., Any]) -> None:
    (doubted,) = usage("quarantine", "--json").json()
    assert (doubted["id"], doubted["reason"]) == ("query-3", "future")
    assert "query-3" in usage("quarantine", "--tenant", "acme").out
    number = str(doubted["number"])
    assert usage("quarantine", "--discard", number).code == 2
    assert usage("quarantine", "--accept", number, "--discard", number).code == 2
    assert usage("quarantine", "--accept", number).out == "nothing is in the quarantine\n"
    shown = usage("show", "--tenant", "acme", "--period", PERIOD, "--json").json()["meters"]
    assert {one["meter"]: one["used"] for one in shown}["QUERY_EXECUTIONS"] == "4"
    assert usage("quarantine", "--discard", number, "--note", "no").code == 1
    assert usage("quarantine", "--accept", "999").code == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("show", "--tenant", "acme", "--period", "2026-13"), "write a month as YYYY-MM"),
        (("explain", "--tenant", "acme", "--meter", "NONSENSE"), "there is no meter NONSENSE"),
        (("explain", "--tenant", "acme", "--meter", "LLM_TOKENS", "--group", "x"), "write NAME=VALUE"),
        (("close", "--tenant", "acme", "--period", "2001-01"), "there is nothing to close"),
    ],
)
def test_a_mistake_is_one_line(usage: Callable[..., Any], arguments: tuple[str, ...], reason: str) -> None:
    refused = usage(*arguments)
    assert refused.code == 2
    assert reason in refused.err
    assert len(refused.err.splitlines()) == 1


def test_llm_traces_are_imported_and_bad_rows_named(
    trunkline: Callable[..., Any], broker: BrokerProcess, tmp_path: Path
) -> None:
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(), "development")
    file = tmp_path / "trace.csv"
    file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\nnonsense\n")
    wanted = ("import", "llm-trace", str(file), "-b", broker.address, "--json")
    done = trunkline(*wanted)
    assert done.code == 1
    assert done.json() == {"read": 2, "published": 1, "acknowledged": 1, "failed": 0, "bad": 1}
    assert f"{file}:3: 1 values instead of 3" in done.err
    assert "a provider is a word" in trunkline(*wanted, "--provider", "No Word").err
