"""The failure ledger."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from trunkline.client.errors import UnknownFailure
from trunkline.client.handler import Received, Refusal
from trunkline.client.store import Store, failures
from trunkline.client.store.failures import Filter, Status
from trunkline.client.store.position import Lane
from trunkline.codec import CodecError, Record

Receive = Callable[..., Received]
REFUSAL = Refusal(failures.HANDLER, "it would not")


def all_codec_errors() -> list[type[CodecError]]:
    found, waiting = [], [CodecError]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls is not CodecError:
            found.append(cls)
    return found


def test_every_reason_that_the_codec_can_give_is_known_here() -> None:
    assert {error.reason for error in all_codec_errors()} <= set(failures.REASONS)


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


def test_listing_shows_the_newest_in_order_of_failing_by_group_and_status(
    store: Store, lane: Lane, receive: Receive
) -> None:
    with store.write() as tx:
        ids = [
            failures.add(tx, lane, receive(str(number), offset=number).record, REFUSAL, now_ms=number)
            for number in range(5)
        ]
        failures.discard(tx, ids[:1], note="noise", now_ms=9)
        assert [failure.id for failure in failures.listed(tx, limit=2)] == ids[3:]
        assert failures.open_ids(tx, group="g") == ids[1:]
        assert failures.listed(tx, group="another") == []
        assert len(failures.listed(tx, status=None)) == 5
        assert failures.counts(tx) == {("open", failures.HANDLER): 4, ("discarded", failures.HANDLER): 1}


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


# Choosing


@pytest.fixture
def chosen(store: Store, lane: Lane, receive: Receive) -> Store:
    """Five open failures of two tenants, topics and reasons, and one that was discarded."""
    other = replace(lane, topic="ml.model.events")
    with store.write() as tx:
        for number, (at, tenant, reason) in enumerate(
            [
                (lane, "acme", failures.HANDLER),
                (lane, "acme", failures.HANDLER),
                (lane, "globex", failures.HANDLER),
                (other, "acme", failures.HANDLER),
                (lane, "globex", "invalid_data"),
                (lane, "globex", "invalid_data"),
            ],
            1,
        ):
            record = receive(str(number), tenant=tenant, offset=number).record
            failures.add(tx, at, record, Refusal(reason, "why"), now_ms=number)
        failures.failed_again(tx, 2, REFUSAL, now_ms=10)
        failures.failed_again(tx, 2, REFUSAL, now_ms=11)
        failures.discard(tx, [6], note="noise", now_ms=12)
    return store


@pytest.mark.parametrize(
    ("matching", "ids"),
    [
        (Filter(), [1, 2, 3, 4, 5]),
        (Filter(reason="invalid_data"), [5]),
        (Filter(tenant="acme"), [1, 2, 4]),
        (Filter(topic="ml.model.events"), [4]),
        (Filter(since_ms=3), [3, 4, 5]),
        (Filter(attempts_max=3), [1, 3, 4, 5]),
        (Filter(tenant="globex", reason="handler", topic="query.execution.events"), [3]),
    ],
)
def test_open_failures_are_chosen_by_what_they_have_in_common(
    chosen: Store, matching: Filter, ids: list[int]
) -> None:
    with chosen.read() as tx:
        assert failures.open_ids(tx, group="g", matching=matching) == ids
        assert failures.open_ids(tx, group="g", matching=matching, after=ids[0], limit=1) == ids[1:2]
        assert failures.newest_open(tx, group="g", matching=matching) == ids[-1]
        assert failures.newest_open(tx, group="g", matching=matching, after=ids[-1]) is None
        assert failures.open_ids(tx, group="another", matching=matching) == []


def test_quarantine_counts_what_is_left_out_for_its_attempts_alone(chosen: Store) -> None:
    with chosen.read() as tx:
        assert failures.quarantined(tx, group="g", matching=Filter(attempts_max=3)) == 1
        assert failures.quarantined(tx, group="g", matching=Filter(attempts_max=3, tenant="globex")) == 0
        assert failures.quarantined(tx, group="g", matching=Filter()) == 0


def test_totals_count_failures_tenants_and_attempts(chosen: Store) -> None:
    with chosen.read() as tx:
        everything = failures.totals(tx, group="g")
        handler = failures.totals(tx, group="g", matching=Filter(reason=failures.HANDLER))
    assert [(one.status, one.reason, one.topic, one.failures) for one in everything] == [
        (Status.DISCARDED, "invalid_data", "query.execution.events", 1),
        (Status.OPEN, "handler", "ml.model.events", 1),
        (Status.OPEN, "handler", "query.execution.events", 3),
        (Status.OPEN, "invalid_data", "query.execution.events", 1),
    ]
    assert [(one.topic, one.tenants, one.attempts, one.oldest_ms) for one in handler] == [
        ("ml.model.events", 1, 1, 4),
        ("query.execution.events", 2, 5, 1),
    ]
