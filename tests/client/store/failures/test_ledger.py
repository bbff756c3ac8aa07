"""How records come into the failure ledger, and how they are settled."""

from collections.abc import Callable

import pytest

from trunkline.client.errors import UnknownFailure
from trunkline.client.handler import Received, Refusal
from trunkline.client.store import Store, failures
from trunkline.client.store.failures import Status
from trunkline.client.store.position import Lane
from trunkline.codec import Record

Receive = Callable[..., Received]
REFUSAL = Refusal(failures.HANDLER, "it would not")


def test_a_record_is_kept_whole_whatever_its_bytes(store: Store, lane: Lane) -> None:
    record = Record("t", 3, 7, 11, b"\xff\x00", None, (("a", b"\xfe"), ("a", None), ("ü", b"")))
    with store.write() as tx:
        failure_id = failures.add(tx, lane, record, REFUSAL, now_ms=13)
    with store.read() as tx:
        failure = failures.get(tx, failure_id)
    kept = failure.record
    assert (kept.key, kept.value, kept.headers, kept.offset) == (b"\xff\x00", None, record.headers, 7)
    assert (failure.attempts, failure.first_seen_ms, failure.status) == (1, 13, Status.OPEN)


def test_the_same_record_failing_again_is_another_attempt_not_another_row(
    store: Store, lane: Lane, receive: Receive
) -> None:
    record = receive("1").record
    with store.write() as tx:
        first = failures.add(tx, lane, record, REFUSAL, now_ms=1)
        second = failures.add(tx, lane, record, Refusal("invalid_data", "worse"), now_ms=2)
        (failure,) = failures.listed(tx, group="g")
    assert first == second
    assert (failure.attempts, failure.reason, failure.first_seen_ms, failure.last_seen_ms) == (
        2,
        "invalid_data",
        1,
        2,
    )


def test_another_record_at_the_same_offset_after_the_log_went_back_is_kept_as_well(
    store: Store, lane: Lane
) -> None:
    before, after = (
        Record("t", 3, 7, timestamp, b"k", value, ()) for timestamp, value in ((1, b"a"), (2, b"b"))
    )
    with store.write() as tx:
        for record in (before, after):
            failures.add(tx, lane, record, REFUSAL, now_ms=3)
        kept = failures.listed(tx, group="g")
    assert [failure.record.value for failure in kept] == [b"a", b"b"]


def test_a_settled_failure_stays_settled(store: Store, lane: Lane, receive: Receive) -> None:
    with store.write() as tx:
        settled = failures.add(tx, lane, receive("1").record, REFUSAL, now_ms=1)
        still_open = failures.add(tx, lane, receive("2", offset=1).record, REFUSAL, now_ms=1)
        failures.discard(tx, [settled], note="why", now_ms=2)
    with pytest.raises(UnknownFailure, match=r"is discarded already \(why\)"), store.write() as tx:
        failures.discard(tx, [still_open, settled], note="again", now_ms=3)
    with store.read() as tx:
        assert failures.open_ids(tx, group="g") == [still_open]


def test_an_unknown_id_is_refused(store: Store) -> None:
    with pytest.raises(UnknownFailure, match="no failure 7 in this ledger"), store.read() as tx:
        failures.get(tx, 7)
