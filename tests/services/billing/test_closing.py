"""Months that become final, and what arrives for them later."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from trunkline.client.store import failures
from trunkline.client.store.tables import FAILURE
from trunkline.errors import InvalidInput
from trunkline.services.billing import closing, quarantine, records
from trunkline.services.billing.bills import Bill, bill
from trunkline.services.billing.closing import Closed, PeriodCloseBlocked, PeriodNotOpen
from trunkline.services.billing.quarantine import Decided

OCTOBER = datetime.fromisoformat("2026-10-30T12:00:00Z")
CLOSED = "usage.period_closed.v1"
CORRECTED = "usage.correction_recorded.v1"


def close(desk: Any, period: str = "2026-10", tenant: str = "acme") -> Closed:
    with desk.store.write() as tx:
        return closing.close(tx, desk.keeper.books(tx), tenant=tenant, period=period, now=desk.now)


def bill_of(desk: Any, period: str) -> Bill:
    with desk.store.read() as tx:
        return bill(tx, desk.keeper.books(tx), tenant="acme", period=period)


def october(make: Any, *numbers: int, **fields: Any) -> list[Any]:
    return [make.query(900 + number, at=OCTOBER + timedelta(seconds=number), **fields) for number in numbers]


def test_a_closed_month_is_published_with_what_it_comes_to(desk: Any, make: Any) -> None:
    desk.set("billing.plans.free", {"prices": {"QUERY_EXECUTIONS": "0.25"}, "currency": "CHF"})
    desk.feed(make.created("free", at=OCTOBER), *october(make, 1, 2, 3))
    closed = close(desk)
    (told,) = desk.told(CLOSED)
    assert (told["period"], told["events"], told["amount"], told["currency"]) == ("2026-10", 3, "0.75", "CHF")
    assert told["totals"]["QUERY_EXECUTIONS"] == "3"
    assert told["digest"] == closed.digest
    with desk.store.read() as tx:
        (month,) = records.months(tx, service="billing-service", tenant="acme")
    assert (month.state, month.digest, month.tier) == ("closed", closed.digest, "free")


def test_the_digest_of_a_month_does_not_depend_on_the_order_of_arrival(new_desk: Any, make: Any) -> None:
    one, other = new_desk(), new_desk()
    one.feed(*october(make, 1, 2, 3))
    other.feed(*october(make, 3, 1, 2))
    assert close(one).digest == close(other).digest


def test_what_cannot_be_closed_is_refused_with_the_reason(desk: Any, make: Any) -> None:
    desk.feed(make.query(1), *october(make, 1))
    with pytest.raises(PeriodNotOpen, match="ends at 2026-12-01"):
        close(desk, "2026-11")
    with pytest.raises(InvalidInput, match="has used nothing in 2026-09"):
        close(desk, "2026-09")
    with pytest.raises(InvalidInput, match="write a month as YYYY-MM"):
        close(desk, "2026-13")
    close(desk)
    with pytest.raises(PeriodNotOpen, match="is closed already"):
        close(desk)
    assert len(desk.told(CLOSED)) == 1


def test_a_failed_event_of_the_tenant_keeps_its_months_open_until_it_is_settled(desk: Any, make: Any) -> None:
    desk.set("billing.grace_days", 1)
    too_much = [make.query(number, bytes_scanned=2**53 - 1) for number in range(100, 212)]
    desk.feed(*october(make, 1), *october(make, 1, tenant="globex"), *too_much, size=200)
    desk.now += timedelta(days=60)
    with pytest.raises(PeriodCloseBlocked, match="1 of its events failed"):
        close(desk)
    desk.keeper.look()
    assert [event["period"] for event in desk.told(CLOSED)] == ["2026-10"]
    with desk.store.write() as tx:
        number = tx.execute(select(FAILURE.c.id)).scalar_one()
        failures.discard(tx, [number], now_ms=1, note="no usage")
    desk.keeper.look()
    assert sorted(event["period"] for event in desk.told(CLOSED)) == ["2026-10", "2026-10", "2026-11"]


def test_usage_that_comes_after_closing_is_a_correction_in_the_month_of_its_arrival(
    desk: Any, make: Any
) -> None:
    desk.feed(*october(make, 1, 2))
    close(desk)
    before = bill_of(desk, "2026-10")
    desk.feed(*october(make, 3, 4, bytes_scanned=70), arrived=make.BEGIN)
    assert bill_of(desk, "2026-10") == before
    late = {one.meter: one for one in bill_of(desk, "2026-11").whole}
    assert late["QUERY_EXECUTIONS"].used_in == "2026-10"
    assert late["QUERY_EXECUTIONS"].quantity == 2
    assert late["DATA_SCANNED_BYTES"].quantity == 140
    told = [event for event in desk.told(CORRECTED) if event["meter"] == "DATA_SCANNED_BYTES"]
    assert [(one["period"], one["booked_in"], one["delta"]) for one in told] == [
        ("2026-10", "2026-11", "70"),
        ("2026-10", "2026-11", "70"),
    ]
    assert desk.used(period="2026-10")["QUERY_EXECUTIONS"] == "4"


def test_a_correction_of_different_users_counts_only_new_ones(desk: Any, make: Any) -> None:
    desk.feed(*october(make, 1, user_id="ana"))
    close(desk)
    desk.feed(*october(make, 2, user_id="ana"), *october(make, 3, 4, user_id="bo"), arrived=make.BEGIN)
    users = [event["delta"] for event in desk.told(CORRECTED) if event["meter"] == "ACTIVE_USERS"]
    assert users == ["1"]


def test_a_correction_again_changes_nothing(desk: Any, make: Any) -> None:
    desk.feed(*october(make, 1))
    close(desk)
    desk.feed(*october(make, 2), arrived=make.BEGIN)
    before = desk.told(CORRECTED), bill_of(desk, "2026-11"), desk.digest()
    desk.feed(*october(make, 2), arrived=make.BEGIN)
    assert (desk.told(CORRECTED), bill_of(desk, "2026-11"), desk.digest()) == before


def test_a_correction_goes_into_the_next_month_where_that_of_its_arrival_is_closed_too(
    desk: Any, make: Any
) -> None:
    desk.feed(*october(make, 1), make.query(1, at=make.BEGIN + timedelta(days=3)))
    desk.now = datetime.fromisoformat("2026-12-02T00:00:00Z")
    close(desk)
    close(desk, "2026-11")
    desk.feed(*october(make, 2), arrived=make.BEGIN)
    assert {event["booked_in"] for event in desk.told(CORRECTED)} == {"2026-12"}


def test_what_is_used_is_billed_once_whatever_was_closed_when(desk: Any, make: Any) -> None:
    desk.feed(*october(make, 1, 2))
    close(desk)
    desk.feed(*october(make, 3), make.query(1), arrived=make.BEGIN + timedelta(seconds=2))
    months = [bill_of(desk, period).totals()["QUERY_EXECUTIONS"] for period in ("2026-10", "2026-11")]
    assert sum(months, Decimal(0)) == 4


def test_a_level_of_a_closed_month_is_not_told_of_any_more(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 2, "thresholds": [100]})
    desk.feed(*october(make, 1))
    close(desk)
    desk.feed(*october(make, 2), arrived=make.BEGIN)
    assert desk.told("usage.threshold_reached.v1") == []


def test_a_month_closes_by_itself_one_grace_after_its_end(desk: Any, make: Any) -> None:
    desk.feed(*october(make, 1))
    desk.now = datetime.fromisoformat("2026-12-05T23:59:59Z")
    desk.keeper.look()
    assert desk.told(CLOSED) == []
    desk.now += timedelta(seconds=1)
    desk.keeper.look()
    desk.keeper.look()
    assert [event["period"] for event in desk.told(CLOSED)] == ["2026-10"]


def test_imported_history_stays_open_for_a_grace_after_it_came(desk: Any, make: Any) -> None:
    """Otherwise the second half of an import would be a correction of the first one."""
    backfill = {"backfill": "test"}
    long_ago = datetime.fromisoformat("2019-03-04T05:06:07Z")
    desk.feed(make.tokens(1, at=long_ago, extensions=backfill), arrived=desk.now)
    desk.keeper.look()
    desk.feed(make.tokens(2, at=long_ago, extensions=backfill), arrived=desk.now)
    assert desk.used(period="2019-03")["LLM_TOKENS"] == "220"
    desk.now += timedelta(days=35)
    desk.keeper.look()
    assert [event["period"] for event in desk.told(CLOSED)] == ["2019-03"]


def test_usage_from_the_quarantine_counts_when_it_is_accepted(desk: Any, make: Any) -> None:
    future = make.query(1, at=make.BEGIN + timedelta(hours=1))
    desk.feed(future, make.query(2, at=make.BEGIN + timedelta(hours=2)), arrived=make.BEGIN)
    with desk.store.read() as tx:
        first, second = records.quarantined(tx)
    with desk.store.write() as tx:
        quarantine.accept(tx, desk.keeper.books(tx), first.number)
        quarantine.discard(tx, second.number, note="a wrong clock")
    assert desk.used()["QUERY_EXECUTIONS"] == "1"
    with desk.store.read() as tx:
        found = records.quarantined(tx, state=None)
    assert [(one.state, one.note) for one in found] == [("accepted", None), ("discarded", "a wrong clock")]
    with pytest.raises(Decided, match="was accepted already"), desk.store.write() as tx:
        quarantine.accept(tx, desk.keeper.books(tx), first.number)
    with pytest.raises(InvalidInput, match="nothing in the quarantine"), desk.store.write() as tx:
        quarantine.accept(tx, desk.keeper.books(tx), 999)
