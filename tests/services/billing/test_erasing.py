"""What is left of a tenant after its end."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from trunkline.services.billing.tables import QUARANTINE, SUBJECT_KEY, THRESHOLD_STATE


def erase(desk: Any, tenant: str) -> dict[str, int]:
    with desk.store.write() as tx:
        return dict(desk.app.eraser.erase(tx, tenant))


def test_numbers_stay_and_the_key_of_the_people_behind_them_goes(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 2})
    future = make.query(9, at=make.BEGIN + timedelta(hours=1))
    desk.feed(make.query(1), make.query(2), make.query(1, tenant="globex"))
    desk.feed(future, arrived=make.BEGIN)
    before = desk.used()
    assert erase(desk, "acme") == {
        "subject_key": 1,
        "usage_event (blinded)": 2,
        "usage_unique (blinded)": 2,
        "quarantine": 1,
        "threshold_state": 3,
    }
    assert desk.used() == before
    with desk.store.read() as tx:
        assert tx.execute(select(SUBJECT_KEY.c.tenant)).scalars().all() == ["globex"]
        for table in (QUARANTINE, THRESHOLD_STATE):
            assert (
                tx.execute(
                    select(func.count()).select_from(table).where(table.c.tenant == "acme")
                ).scalar_one()
                == 0
            )


def test_erasing_again_finds_nothing_to_erase(desk: Any, make: Any) -> None:
    desk.feed(make.query(1))
    erase(desk, "acme")
    assert erase(desk, "acme")["subject_key"] == 0


def test_the_state_after_an_end_does_not_depend_on_how_much_was_read_before(new_desk: Any, make: Any) -> None:
    early, late = new_desk(), new_desk()
    early.feed(make.query(1, tenant="globex"))
    late.feed(make.query(1), make.query(2), make.query(1, tenant="globex"))
    assert early.digest() != late.digest()
    for desk in (early, late):
        erase(desk, "acme")
    assert early.digest() == late.digest()


def test_a_tenant_that_was_ended_is_not_told_again_of_the_levels_it_had_reached(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 2})
    desk.feed(make.query(1), make.query(2))
    told = desk.told("usage.threshold_reached.v1")
    assert told
    erase(desk, "acme")
    again = desk.restarted()
    again.keeper.look()
    again.set("billing.quotas.query_executions", {"limit": 1})
    assert again.told("usage.threshold_reached.v1") == told
    with desk.store.read() as tx:
        assert tx.execute(select(func.count()).select_from(THRESHOLD_STATE)).scalar_one() == 0
