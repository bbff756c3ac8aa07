"""What the service makes of events in whatever order they come."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from trunkline.catalogue.events.query import QueryCancelled, QueryDenied, QueryFailed
from trunkline.client.handler import Received
from trunkline.codec import Record, encode_checked
from trunkline.services.billing import records
from trunkline.services.billing.queries import totals
from trunkline.services.billing.tables import USAGE_EVENT, USAGE_UNIQUE


def test_a_completed_query_is_counted_with_its_bytes_seconds_and_user(desk: Any, make: Any) -> None:
    desk.feed(make.query(1, user_id="ana"), make.query(2, user_id="bo"), make.query(3, user_id="ana"))
    assert desk.used() == {
        "QUERY_EXECUTIONS": "3",
        "DATA_SCANNED_BYTES": "3000",
        "COMPUTE_SECONDS": "0.0045",
        "ACTIVE_USERS": "2",
    }


def test_what_failed_was_denied_or_cancelled_is_not_billed(desk: Any, make: Any) -> None:
    user: dict[str, Any] = {"query_id": "q", "user_id": "ana"}
    failed = QueryFailed(**user, engine="duckdb", error_code="oops", message="no", duration_us=5)
    denied = QueryDenied(**user, resource="urn:table:hr", policy_id="p")
    cancelled = QueryCancelled(**user, cancelled_by="ana", ran_for_ms=4)
    desk.feed(*(make.life(event, number=number) for number, event in enumerate((failed, denied, cancelled))))
    assert desk.used() == {}


def test_tokens_are_counted_by_direction_and_model(desk: Any, make: Any) -> None:
    desk.feed(*(make.tokens(number) for number in range(3)))
    assert desk.used() == {"LLM_INPUT_TOKENS": "300", "LLM_OUTPUT_TOKENS": "30", "LLM_TOKENS": "330"}
    with desk.store.read() as tx:
        groups = {(one.meter, one.group): str(one.value) for one in totals(tx) if one.group}
    assert groups == {
        ("LLM_INPUT_TOKENS", '{"model":"model-0"}'): "200",
        ("LLM_INPUT_TOKENS", '{"model":"model-1"}'): "100",
        ("LLM_OUTPUT_TOKENS", '{"model":"model-0"}'): "20",
        ("LLM_OUTPUT_TOKENS", '{"model":"model-1"}'): "10",
    }


def test_usage_counts_in_the_month_in_which_it_happened(desk: Any, make: Any) -> None:
    last = datetime.fromisoformat("2026-10-31T23:59:59.999999Z")
    first = datetime.fromisoformat("2026-11-01T02:00:00+02:00")
    desk.feed(make.query(1, at=last), make.query(2, at=first), arrived=make.BEGIN)
    assert desk.used(period="2026-10")["QUERY_EXECUTIONS"] == "1"
    assert desk.used(period="2026-11")["QUERY_EXECUTIONS"] == "1"


def test_sums_stay_exact_where_floats_would_not(desk: Any, make: Any) -> None:
    desk.feed(*(make.query(number, cpu_us=1, bytes_scanned=2**53 - 1) for number in range(10)))
    assert desk.used()["COMPUTE_SECONDS"] == "0.00001"
    assert desk.used()["DATA_SCANNED_BYTES"] == str(10 * (2**53 - 1))


def test_a_sum_that_is_no_usage_goes_to_the_failure_ledger_and_the_others_count(desk: Any, make: Any) -> None:
    """After 111 events of 2**53 - 1 bytes the next one would pass what an event can tell of."""
    (outcome,) = desk.feed(*(make.query(number, bytes_scanned=2**53 - 1) for number in range(112)), size=200)
    assert outcome.handled == 111
    assert [refusal.reason for _, refusal in outcome.refused] == ["handler"]
    assert desk.used()["QUERY_EXECUTIONS"] == "111"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_any_order_across_topics_and_any_batches_come_to_the_same(
    new_desk: Any, make: Any, size: int
) -> None:
    lanes = {
        "life": [make.created("free")],
        "queries": [make.query(number) for number in range(60)],
        "tokens": [make.tokens(number, input_tokens=number * 37) for number in range(60)],
    }
    found = set()
    for seed in range(3):
        order = [name for name, events in lanes.items() for _ in events]
        random.Random(seed).shuffle(order)
        left = {name: iter(events) for name, events in lanes.items()}
        desk = new_desk()
        desk.feed(*(next(left[name]) for name in order), size=size)
        told = frozenset(
            (event["id"], event["used"], event["reached_at"])
            for event in desk.told("usage.threshold_reached.v1")
        )
        assert told
        found.add((desk.digest(), told))
    assert len(found) == 1


def test_people_stand_in_the_store_as_hashes_only(desk: Any, make: Any) -> None:
    desk.feed(make.query(1, user_id="ana.lovelace"), make.query(2, user_id="ana.lovelace"))
    with desk.store.read() as tx:
        texts = [*tx.execute(select(USAGE_EVENT.c.data)).scalars()]
        members = [*tx.execute(select(USAGE_UNIQUE.c.member)).scalars()]
    assert len(members) == 1
    assert all(members[0] in text and "ana.lovelace" not in text for text in texts)


def test_the_same_person_has_other_hashes_in_other_tenants(desk: Any, make: Any) -> None:
    desk.feed(make.query(1, user_id="ana"), make.query(1, user_id="ana", tenant="globex"))
    with desk.store.read() as tx:
        members = [*tx.execute(select(USAGE_UNIQUE.c.member)).scalars()]
    assert len(set(members)) == 2


def test_a_restart_goes_on_with_the_same_hashes(desk: Any, make: Any) -> None:
    desk.feed(make.query(1, user_id="ana"))
    desk.restarted().feed(make.query(2, user_id="ana"))
    assert desk.used()["ACTIVE_USERS"] == "1"


def test_a_time_that_cannot_be_is_quarantined_and_not_counted(desk: Any, make: Any) -> None:
    ahead = make.BEGIN + timedelta(minutes=5, microseconds=1)
    old = make.BEGIN - timedelta(days=35, microseconds=1)
    desk.feed(make.query(1, at=ahead), make.query(2, at=old), arrived=make.BEGIN)
    desk.feed(make.query(3, at=ahead - timedelta(microseconds=1)), arrived=make.BEGIN)
    desk.feed(make.query(4, at=old + timedelta(microseconds=1)), arrived=make.BEGIN)
    assert desk.used()["QUERY_EXECUTIONS"] == "1"
    assert desk.used(period="2026-09")["QUERY_EXECUTIONS"] == "1"
    with desk.store.read() as tx:
        assert [(one.id, one.reason) for one in records.quarantined(tx)] == [
            ("query-acme-1", "future"),
            ("query-acme-2", "too_old"),
        ]


def test_history_that_says_so_may_be_of_any_age(desk: Any, make: Any) -> None:
    long_ago = datetime.fromisoformat("2019-03-04T05:06:07Z")
    desk.feed(make.tokens(1, at=long_ago, extensions={"backfill": "test"}), arrived=make.BEGIN)
    assert desk.used(period="2019-03")["LLM_TOKENS"] == "110"


def test_people_are_counted_once_when_the_first_batch_of_their_tenant_is_undone(
    new_desk: Callable[..., Any], store_url: str, make: Any
) -> None:
    desk = new_desk(store_url)
    events = [make.query(1, user_id="ada"), make.query(2, user_id="ada")]
    with pytest.raises(InterruptedError):
        undone(desk, events)
    desk.feed(events[0])
    again = desk.restarted()
    again.feed(events[1])
    assert again.used()["ACTIVE_USERS"] == "1"


def undone(desk: Any, events: list[Any]) -> None:
    """Handle them one by one in one transaction, as a batch with a wrong one, and roll that back."""
    with desk.store.write() as tx:
        for event in events:
            of = encode_checked(event)
            record = Record("query.execution.events", 0, 0, 1, of.key, of.value, tuple(of.headers))
            desk.app.handler.handle(tx, [Received(record, event)])
        raise InterruptedError
