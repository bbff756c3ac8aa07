from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.names import EventType, TenantId
from trunkline.client.handler import Refusal
from trunkline.client.pace import Pace
from trunkline.client.store import Store, failures, migrate, open_store, parking
from trunkline.client.store.position import Lane
from trunkline.codec import Record, encode, new_envelope
from trunkline.services import runnable

Trunkline = Callable[..., Any]
SERVICE = "audit-service"
LANE = Lane(group=SERVICE, cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)
SEEN_MS = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/services/{SERVICE}.db")
    migrate(opened)
    migrate(opened, runnable(SERVICE).components[0])
    yield opened
    opened.close()


@pytest.fixture
def add(store: Store) -> Callable[..., int]:
    """Puts the event of a tenant into the ledger, or a record that is none: `add(1, "acme", good=False)`."""
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    event = msgspec.convert(dict(declaration.example), declaration.cls)

    def put(offset: int, tenant: str = "acme", *, good: bool = True, attempts: int = 1) -> int:
        encoded = encode(
            new_envelope(
                event,
                tenant=TenantId(tenant),
                source="/s",
                time=datetime(2026, 1, 1, tzinfo=UTC),
                id=str(offset),
            )
        )
        headers = tuple(encoded.headers) if good else ()
        record = Record(LANE.topic, 0, offset, SEEN_MS, encoded.key, encoded.value, headers)
        refusal = Refusal("handler", "a bug") if good else Refusal("not_cloudevents", "no headers")
        with store.write() as tx:
            failure_id = failures.add(tx, LANE, record, refusal, now_ms=SEEN_MS + offset)
            for _ in range(attempts - 1):
                failures.failed_again(tx, failure_id, refusal, now_ms=SEEN_MS + offset)
        return failure_id

    return put


@pytest.fixture
def call(trunkline: Trunkline, store: Store, tmp_path: Path) -> Trunkline:
    """`trunkline replay` on this ledger, which has been migrated."""
    assert store.url
    return lambda *arguments: trunkline("replay", *arguments, "--data-dir", str(tmp_path))


def test_a_dry_run_shows_what_would_happen_and_changes_nothing(
    call: Trunkline, trunkline: Trunkline, tmp_path: Path, add: Callable[..., int]
) -> None:
    good, _ = add(0), add(1, "globex", good=False)
    for _ in range(2):
        told = call("--all", "--dry-run", "--json").json()
        assert (told["dry_run"], told["replayed"], told["failed_again"]) == (True, 1, 1)
        assert [(row["reason"], row["failures"], row["tenants"]) for row in told["matching"]] == [
            ("handler", 1, 1),
            ("not_cloudevents", 1, 1),
        ]
    shown = call("--reason", "handler", "--dry-run")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert (lines[0], lines[-1]) == (f"{good} replayed", "would be: 1 replayed")
    assert lines[2].split()[:6] == ["open", "handler", "query.execution.events", "1", "1", "1"]
    assert "rolled back" in shown.err
    left = trunkline("failures", "list", "--data-dir", str(tmp_path), "--json").json()
    assert [(row["status"], row["attempts"]) for row in left] == [("open", 1), ("open", 1)]


def test_only_what_the_filters_name_is_replayed(call: Trunkline, add: Callable[..., int]) -> None:
    add(0, "acme"), add(1, "globex"), add(2, "globex", good=False)
    assert call("--tenant", "globex", "--reason", "handler", "--json").json()["replayed"] == 1
    assert call("--tenant", "globex", "--reason", "handler").out == "nothing to replay\n"
    assert call("--topic", "ml.model.events").out == "nothing to replay\n"
    assert call("--since", "2030-01-01").out == "nothing to replay\n"
    assert call("--since", "2023-11-14", "--limit", "1").out.endswith("1 replayed\n")


def test_what_failed_too_often_is_left_out_unless_it_is_named(
    call: Trunkline, add: Callable[..., int]
) -> None:
    often = add(0, attempts=10)
    add(1)
    told = call("--all", "--json").json()
    assert (told["replayed"], told["quarantined"]) == (1, 1)
    assert call(str(often)).out == f"{often} replayed\n1 replayed\n"
    again = add(2, attempts=3)
    assert call("--all", "--max-attempts", "3").out == "1 quarantined\n"
    assert call("--all", "--max-attempts", "0").out == f"{again} replayed\n1 replayed\n"


def test_a_rate_spreads_the_events(call: Trunkline, add: Callable[..., int]) -> None:
    for offset in range(3):
        add(offset)
    assert call("--all", "--rate", "100").out.endswith("3 replayed\n")


def test_a_tenant_that_is_still_parked_at_the_end_is_said_with_what_to_do(
    call: Trunkline, store: Store, add: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.write() as tx:
        parking.park(tx, group=SERVICE, topic=LANE.topic, tenants=["acme"])
    offsets = count()
    add(next(offsets)), add(next(offsets))
    took = Pace.took

    def inflow(self: Pace, now: float) -> None:
        add(next(offsets))
        took(self, now)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Pace, "took", inflow)
        done = call("--all", "--rate", "1000")
        named = call("--all", "--rate", "1000", "--limit", "2")
        told = call("--all", "--rate", "1000", "--json")
    assert (done.code, named.code, told.code) == (1, 0, 1)
    assert (
        "still parked: 1 of the tenants, with 2 open events that came meanwhile, most of acme in "
        "query.execution.events; run it again, faster than they come: without --rate"
    ) in done.err
    assert told.json()["still_parked"] == [{"topic": LANE.topic, "tenantid": "acme", "failures": 2}]
    assert call("--all").code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "say which failures to replay"),
        (("1", "--all"), "say which failures to replay"),
        (("--reason", "handlr"), "unknown reason 'handlr'; did you mean handler?"),
        (("--since", "yesterday"), "not a date or time"),
        (("--all", "--rate", "0"), "a rate of 0 a second is none"),
        (("99",), "no failure 99 in this ledger"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    call: Trunkline, *, arguments: tuple[str, ...], complaint: str
) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (2, "")
    assert complaint in done.err
    assert done.err.count("\n") == 1
