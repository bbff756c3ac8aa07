"""What happens because time passes: reminders of what is still open, and the end of old history."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, select, tuple_

from trunkline.client.errors import StoreUnavailable
from trunkline.client.log import Log
from trunkline.client.store import Store
from trunkline.codec.identity import derive_id
from trunkline.errors import TrunklineError
from trunkline.services.kit.ending import ended_among
from trunkline.services.notification import accounts, incident_rows, silence_rows
from trunkline.services.notification.audience import Audience, put_with_digests
from trunkline.services.notification.configuration import CompiledRule, Configuration
from trunkline.services.notification.handler import unix_us
from trunkline.services.notification.incidents import FIRING, SECOND_US, Incident
from trunkline.services.notification.notices import Draft, Item
from trunkline.services.notification.tables import (
    ATTEMPT,
    DECISION,
    DELIVERY,
    EVENT,
    INBOX,
    INCIDENT,
    ITEM,
    NOTIFICATION,
    SILENCE,
)
from trunkline.services.notification.telling import Surroundings, draft_of, hushed

REPEATS_MAX: Final = 20
"""Reminders of one incident: after so many, whoever has not reacted is not going to."""
AT_ONCE_MAX: Final = 100
"""Incidents reminded of, or old events dropped, in one transaction."""
POLL_S: Final = 1.0
CLEAN_EVERY: Final = 600
"""Of so many polls one looks for old history."""
DAY_US: Final = 86_400 * SECOND_US

_log = Log(__name__)


class Timekeeper:
    """A `services.app.Companion`. Several may work on one store: each incident is reminded of by one."""

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        *,
        on_failure: Callable[[TrunklineError], None],
        now_us: Callable[[], int] = unix_us,
        poll_s: float = POLL_S,
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._on_failure = on_failure
        self._now_us = now_us
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notification-time", daemon=True)

    def start(self) -> None:
        """Begin to look at the clock."""
        self._thread.start()

    def stop(self) -> None:
        """End. Safe to call twice, and without `start`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def remind(self) -> int:
        """Put reminders that are due; returns how many incidents were looked at."""
        now_us = self._now_us()
        with self._store.read() as tx:
            if tx.execute(_due(now_us).limit(1)).first() is None:
                return 0
        with self._store.write() as tx:
            ids = _taken(tx, now_us=now_us)
            incidents = incident_rows.locked(tx, ids)
            drafts = [
                draft
                for incident in incidents.values()
                if (draft := self._reminder(tx, incident, now_us=now_us)) is not None
            ]
            audience = Audience.of(tx, self._configuration, {draft.tenant for draft in drafts})
            put_with_digests(tx, drafts, audience, now_us=now_us)
            incident_rows.save(tx, list(incidents.values()), now_us=now_us)
        return len(ids)

    def clean(self) -> int:
        """Drop one portion of history older than is kept; returns how many events and notifications."""
        now_us = self._now_us()
        before_us = now_us - self._configuration.history_days * DAY_US
        with self._store.write() as tx:
            return (
                _drop_events(tx, before_us) + _drop_notifications(tx, before_us) + _drop_rest(tx, before_us)
            )

    def _run(self) -> None:
        polls = 0
        while not self._stop.wait(self._poll_s):
            try:
                while self.remind() == AT_ONCE_MAX and not self._stop.is_set():
                    pass
                if polls % CLEAN_EVERY == 0:
                    while self.clean() and not self._stop.is_set():
                        pass
                polls += 1
            except StoreUnavailable as error:
                _log.warning("reminders have to wait", error=str(error))
            except Exception as error:  # noqa: BLE001 - reminders that end unnoticed would be missed by nobody
                self._on_failure(TrunklineError(f"reminders cannot be sent any more: {error!r}"))
                return

    def _reminder(self, tx: Connection, incident: Incident, *, now_us: int) -> Draft | None:
        rule = self._configuration.rules(incident.tenant).by_name.get(incident.rule)
        incident.repeat_us = None
        if rule is None or not rule.rule.repeat_s or not incident.is_firing or incident.told_us is None:
            return None
        if incident.repeats >= REPEATS_MAX:
            return None
        incident.repeat_us = now_us + rule.rule.repeat_s * SECOND_US
        data = msgspec.json.decode(incident.data)
        if hushed(rule, _type_of(tx, incident), data, incident.severity, _around(tx, rule, incident, now_us)):
            return None
        incident.repeats += 1
        item = Item(
            ref=derive_id(incident.tenant, incident.fired_source or "", incident.fired_id or "", incident.id),
            time_us=incident.fired_us or now_us,
            incident=incident.id,
            source=incident.fired_source,
            event_id=incident.fired_id,
        )
        told = incident.told_us
        incident.told_us = max(told, now_us)
        return draft_of(
            rule,
            derive_id("repeat", incident.id, str(told), str(incident.repeats)),
            tenant=incident.tenant,
            kind="repeat",
            severity=incident.severity,
            group=incident.key,
            window_us=now_us,
            due_us=now_us,
            late_us=now_us,
            item=item,
        )


def _due(now_us: int) -> Any:
    return select(INCIDENT.c.id).where(INCIDENT.c.repeat_us <= now_us).order_by(INCIDENT.c.repeat_us)


def _taken(tx: Connection, *, now_us: int) -> Sequence[str]:
    """Some that are due, locked, none of a tenant that has ended.

    The locks of tenants come before those of rows, as in the consumer: an erasure begins before, and leaves
    nothing to remind of, or afterwards, and finds the reminders.
    """
    at = INCIDENT.c
    tenants = set(tx.scalars(select(at.tenant).where(at.repeat_us <= now_us).distinct().limit(AT_ONCE_MAX)))
    alive = tenants - ended_among(tx, tenants)
    due = _due(now_us).where(at.tenant.in_(sorted(alive))).limit(AT_ONCE_MAX)
    return tx.scalars(due.with_for_update(skip_locked=True)).all()


def _type_of(tx: Connection, incident: Incident) -> str:
    at = EVENT.c
    query = select(at.type).where(
        at.tenant == incident.tenant, at.source == incident.fired_source, at.id == incident.fired_id
    )
    return tx.scalar(query) or ""


def _around(tx: Connection, rule: CompiledRule, incident: Incident, now_us: int) -> Surroundings:
    tenant = incident.tenant
    inhibitors = {one.rule for one in rule.rule.inhibited_by}
    firing = incident_rows.firing(tx, {tenant: inhibitors} if inhibitors else {})
    return Surroundings(
        now_us,
        bool(accounts.suspended(tx, [tenant])),
        silence_rows.in_force(tx, [tenant], now_us=now_us)[tenant],
        firing.get(tenant, []),
    )


def _drop_events(tx: Connection, before_us: int) -> int:
    at = EVENT.c
    keys = [
        tuple(row)
        for row in tx.execute(
            select(at.tenant, at.source, at.id).where(at.received_us < before_us).limit(AT_ONCE_MAX)
        )
    ]
    if keys:
        made_of = (DECISION.c.tenant, DECISION.c.source, DECISION.c.event_id)
        tx.execute(delete(DECISION).where(tuple_(*made_of).in_(keys)))
        tx.execute(delete(EVENT).where(tuple_(at.tenant, at.source, at.id).in_(keys)))
    return len(keys)


def _drop_notifications(tx: Connection, before_us: int) -> int:
    """With their deliveries: after so long, none of these is on its way any more."""
    at = NOTIFICATION.c
    ids = tx.scalars(select(at.id).where(at.created_us < before_us).limit(AT_ONCE_MAX)).all()
    if ids:
        deliveries = select(DELIVERY.c.id).where(DELIVERY.c.notification.in_(ids))
        tx.execute(delete(ATTEMPT).where(ATTEMPT.c.delivery.in_(deliveries)))
        tx.execute(delete(INBOX).where(INBOX.c.notification.in_(ids)))
        tx.execute(delete(DELIVERY).where(DELIVERY.c.notification.in_(ids)))
        tx.execute(delete(ITEM).where(ITEM.c.notification.in_(ids)))
        tx.execute(delete(NOTIFICATION).where(at.id.in_(ids)))
    return len(ids)


def _drop_rest(tx: Connection, before_us: int) -> int:
    at = INCIDENT.c
    ids = tx.scalars(
        select(at.id).where(at.changed_us < before_us, at.state != FIRING).limit(AT_ONCE_MAX)
    ).all()
    tx.execute(delete(INCIDENT).where(at.id.in_(ids)))
    tx.execute(delete(SILENCE).where(SILENCE.c.ends_us < before_us))
    return len(ids)
