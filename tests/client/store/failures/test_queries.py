"""Which failures there are, and how many."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from trunkline.client.handler import Received, Refusal
from trunkline.client.store import Store, failures
from trunkline.client.store.failures import Filter, Status
from trunkline.client.store.position import Lane

Receive = Callable[..., Received]
REFUSAL = Refusal(failures.HANDLER, "it would not")


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
