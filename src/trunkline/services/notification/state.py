"""What must be the same after any order, repetition and replay of the same events."""

from sqlalchemy import Connection, select

from trunkline.services.kit.digest import digest_of
from trunkline.services.notification.tables import DECISION, DELIVERY, EVENT, INCIDENT, NOTIFICATION, TENANT

_E, _D, _I, _N, _T = EVENT.c, DECISION.c, INCIDENT.c, NOTIFICATION.c, TENANT.c
_moments = (_I.first_us, _I.fired_us, _I.fired_id, _I.resolved_us, _I.data)


def state_digest(tx: Connection) -> str:
    """A hash over the history, incidents, and the identities of notifications and deliveries.

    Left out is what depends on when events came: whether something was told or suppressed, sent or not, and
    the notifications that follow from that (updates, reminders, all-clears, digests).
    """
    return digest_of(
        tx,
        [
            ("events", (_E.tenant, _E.source, _E.id, _E.type, _E.time_us, _E.data)),
            ("decisions", (_D.tenant, _D.source, _D.event_id, _D.rule, _D.rule_version, _D.incident)),
            ("incidents", (_I.id, _I.tenant, _I.rule, _I.key, _I.state, _I.severity, _I.count, *_moments)),
            ("tenants", (_T.tenant, _T.suspended, _T.time_us)),
            ("notifications", (_alerts.c.id, _alerts.c.tenant, _alerts.c.window_us, _alerts.c.group_key)),
            ("deliveries", (_delivered.c.id, _delivered.c.channel, _delivered.c.target)),
        ],
    )


_alerts = select(_N.id, _N.tenant, _N.window_us, _N.group_key).where(_N.kind == "alert").subquery("alerts")
_delivered = (
    select(DELIVERY.c.id, DELIVERY.c.channel, DELIVERY.c.target)
    .where(DELIVERY.c.notification.in_(select(_alerts.c.id)))
    .subquery("delivered")
)
