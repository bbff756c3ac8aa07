"""A receipt is taken once, told once, and who has not answered is known."""

from datetime import UTC, datetime
from typing import Any

import pytest

from trunkline.services.iam.receipts import deletions, take
from trunkline.services.iam.state import state_digest
from trunkline.services.kit.ending import End, Receipt
from trunkline.services.kit.ending.ends import Erasure, end_tenant

AT = datetime(2026, 5, 1, tzinfo=UTC)
END = End(tenant="acme", deletion_id="d-1", deleted_at=AT)
SERVICES = ("billing-service", "iam-service", "notification-service")


def receipt(service: str, **rows: int) -> Receipt:
    return Receipt.of(END, service=service, erased_at=AT, rows=rows, keys_destroyed=1)


def taken(office: Any, one: Receipt) -> bool:
    with office.store.write() as tx:
        return take(tx, one, office.context.outbox)


@pytest.fixture
def acme_has_ended(office: Any) -> None:
    with office.store.write() as tx:
        end_tenant(tx, END, Erasure(office.store, None, publishes=True), now=AT)


@pytest.mark.usefixtures("acme_has_ended")
def test_a_receipt_becomes_one_event_of_the_platform(office: Any) -> None:
    one = receipt("billing-service", usage_event=40, threshold_state=2)
    assert [taken(office, one), taken(office, one)] == [True, False]
    (event,) = office.told("system")
    data = event.data
    assert (event.type, event.time, event.causationid) == ("access.erasure_completed.v1", AT, "d-1")
    assert (data.subject_id, data.request_id, data.service) == ("acme", "d-1", "billing-service")
    assert (data.records_erased, data.keys_destroyed, data.digest) == (42, 1, one.digest)
    assert data.summary().resource_id == "acme"


@pytest.mark.usefixtures("acme_has_ended")
def test_who_has_answered_and_who_has_not(office: Any) -> None:
    taken(office, receipt("billing-service", usage_event=40))
    with office.store.read() as tx:
        (one,) = deletions(tx, services=SERVICES)
    assert (one.tenant, one.deletion_id, one.deleted_at) == ("acme", "d-1", AT)
    assert [(answer.service, answer.rows) for answer in one.receipts] == [
        ("billing-service", {"usage_event": 40})
    ]
    assert one.missing == ["iam-service", "notification-service"]


def test_receipts_in_any_order_come_to_the_same(office: Any) -> None:
    receipts = [receipt(name, rows=number) for number, name in enumerate(SERVICES)]
    for one in receipts:
        taken(office, one)
    with office.store.read() as tx:
        digest = state_digest(tx)
    for one in reversed(receipts):
        assert not taken(office, one)
    with office.store.read() as tx:
        assert state_digest(tx) == digest
    assert len({event.id for event in office.told("system")}) == len(SERVICES)
