"""What people and companions may still do for a tenant that has ended: nothing that stays."""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, insert, select, text

from trunkline.catalogue.events.pipeline import PipelineRunFailed
from trunkline.services.app import Eraser
from trunkline.services.kit.ending import End, TenantEnded
from trunkline.services.kit.ending.ends import Erasure, end_tenant
from trunkline.services.notification import actions
from trunkline.services.notification.erasing import TABLES
from trunkline.services.notification.silences import Matches
from trunkline.services.notification.tables import ATTEMPT, DELIVERY, NOTIFICATION
from trunkline.services.notification.timekeeping import Timekeeper
from trunkline.services.notification.unsubscribing import Purpose
from trunkline.services.notification.vault import Vault
from trunkline.testing.consuming import eventually
from trunkline.testing.notification_desk import START, TENANT, NotificationDesk


class Failing:
    """An eraser that cannot."""

    def erase(self, _tx: Connection, _tenant: str) -> Mapping[str, int]:
        raise OSError("the disk is read-only")


def failed() -> PipelineRunFailed:
    return PipelineRunFailed(
        run_id="run-1", job="orders", namespace="dwh", duration_ms=1, error_code="boom", message="it broke"
    )


def end(desk: NotificationDesk, eraser: Eraser | None = None) -> None:
    erasure = Erasure(desk.store, eraser or desk.app.eraser, publishes=False)
    with desk.store.write() as tx:
        gone = End(tenant=TENANT, deletion_id="d-1", deleted_at=datetime.now(UTC))
        assert end_tenant(tx, gone, erasure, now=datetime.now(UTC))


def test_nothing_is_kept_for_a_tenant_that_has_ended(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    vault = Vault(desk.store, desk.keys)
    end(desk)
    attempts: list[Callable[[Connection], object]] = [
        lambda tx: actions.unsubscribe(tx, Purpose(TENANT, "ada", "pipeline", "mail"), now_us=1),
        lambda tx: actions.prefer(tx, TENANT, "ada", category=None, channel=None, mode="off", now_us=1),
        lambda tx: vault.keep_address(tx, TENANT, "ada", "ada@example.com"),
        lambda tx: vault.keep(tx, TENANT, "hook", "something", now_us=1),
        lambda tx: actions.add_silence(
            tx,
            TENANT,
            Matches(),
            ends=START + timedelta(hours=1),
            actor="ada",
            comment="quiet",
            now_us=desk.now_us,
        ),
    ]
    for attempt in attempts:
        with pytest.raises(TenantEnded, match="acme was deleted"), desk.store.write() as tx:
            attempt(tx)
    assert not desk.keys.holds(TENANT)
    with desk.store.read() as tx:
        for table in TABLES:
            query = select(func.count()).select_from(table).where(table.c.tenant == TENANT)
            assert tx.scalar(query) == 0, table.name


def test_nobody_is_reminded_for_a_tenant_that_has_ended(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()))
    end(desk, Failing())
    desk.now += timedelta(hours=4)
    timekeeper = desk.app.companions[1]
    assert isinstance(timekeeper, Timekeeper)
    assert timekeeper.remind() == 0
    assert [one.kind for one in desk.history()] == ["alert"]


def test_an_attempt_that_is_recorded_while_the_tenant_is_erased_does_not_stay(
    new_desk: Callable[..., NotificationDesk],
) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()))
    eraser = threading.Thread(target=end, args=(desk,))
    with desk.store.write() as tx:
        # As the sender does: it holds the delivery, and adds how the attempt ended.
        delivery = tx.scalars(select(DELIVERY.c.id).limit(1).with_for_update()).one()
        eraser.start()
        if tx.dialect.name == "postgresql":
            eventually(lambda: blocked(desk) > 0)
        row = {"delivery": delivery, "number": 1, "tenant": TENANT, "at_us": 1, "took_us": 1}
        tx.execute(insert(ATTEMPT), [{**row, "outcome": "sent", "status": 200, "detail": None}])
    eraser.join()
    with desk.store.read() as tx:
        for table in (ATTEMPT, DELIVERY, NOTIFICATION):
            assert tx.scalar(select(func.count()).select_from(table)) == 0, table.name


def blocked(desk: NotificationDesk) -> int:
    """How many sessions on this database wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    # A transaction sees this view as it was at its first look.
    with desk.store.read() as tx:
        return int(tx.scalar(waiting) or 0)
