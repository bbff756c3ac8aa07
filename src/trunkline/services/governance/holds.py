"""What people order of assets: to quarantine or to release one, against its checks and for a while.

One transaction each, as in `orders`; the companion ends what is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events.policy import Mode
from trunkline.client.outbox import Outbox
from trunkline.codec.identity import derive_id, new_id
from trunkline.errors import InvalidInput, NotFound
from trunkline.services.governance.ledger import Ledger
from trunkline.services.governance.moments import to_us
from trunkline.services.governance.orders import Order, require_order
from trunkline.services.governance.quarantines import (
    RELEASED,
    Decision,
    Override,
    Place,
    Quarantines,
    Wanted,
    wanted_by_checks,
)

OVERRIDE_MAX: Final = timedelta(days=90)
"""A word that holds against the checks has to be renewed at times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an order about an asset came to. `mode` None: readers are let in."""

    tenant: str
    asset: str
    mode: Mode | None
    decision_id: str | None
    revision: int | None
    until: datetime | None


def hold(
    tx: Connection,
    outbox: Outbox,
    asset: str,
    wanted: Wanted,
    order: Order,
    *,
    until: datetime,
    exempt_roles: Sequence[str],
) -> Held:
    """Quarantine an asset, or release it, whatever its checks say until then. Raises `InvalidInput`."""
    require_order(tx, order)
    if not order.now < until <= order.now + OVERRIDE_MAX:
        raise InvalidInput(f"an override ends within {OVERRIDE_MAX.days} days; renew it then")
    place = order.tenant, asset_urn(asset)
    quarantines = Quarantines(Ledger(tx, outbox, [order.tenant]), [place])
    reason = order.reason or "by hand"
    decision_id = new_id()
    quarantines.drop_override(place)
    now = quarantines.current(place)
    mode: Mode | None = None if wanted == RELEASED else wanted
    revision = None
    if (now.mode if now else None) != mode or mode is not None:
        decision = Decision(
            id=decision_id,
            tenant=order.tenant,
            asset=place[1],
            mode=mode,
            rule="override",
            reason=reason,
            cause=order.cause(f"{'release' if mode is None else 'quarantine'} {place[1]}"),
            until=until,
        )
        revision = quarantines.apply(decision, exempt_roles=exempt_roles)
    override = Override(
        wanted=wanted,
        decision_id=decision_id,
        actor_id=order.actor_id,
        reason=reason,
        since_us=to_us(order.now),
        until_us=to_us(until),
    )
    quarantines.put_override(place, override)
    return Held(
        tenant=order.tenant,
        asset=place[1],
        mode=mode,
        decision_id=decision_id,
        revision=revision,
        until=until,
    )


def end_override(
    tx: Connection, outbox: Outbox, asset: str, order: Order, *, exempt_roles: Sequence[str]
) -> Held:
    """Let the checks of an asset decide again. Raises `NotFound` where no override is in force."""
    require_order(tx, order)
    place = order.tenant, asset_urn(asset)
    quarantines = Quarantines(Ledger(tx, outbox, [order.tenant]), [place])
    if quarantines.override(place) is None:
        raise NotFound(f"no override of {place[1]} is in force")
    return _settle(tx, quarantines, place, order, exempt_roles=exempt_roles, decision_id=new_id())


def end_what_is_over(
    tx: Connection,
    outbox: Outbox,
    asset: str,
    order: Order,
    *,
    exempt_roles: Sequence[str],
    override_id: str,
) -> Held | None:
    """The same for the override of this decision; None where it is not in force any more.

    The decision's id follows from that of the override.
    """
    require_order(tx, order)
    place = order.tenant, asset
    quarantines = Quarantines(Ledger(tx, outbox, [order.tenant]), [place])
    override = quarantines.override(place)
    if override is None or override.decision_id != override_id:
        return None
    decision_id = derive_id("governance.override_ended", order.tenant, override_id)
    return _settle(tx, quarantines, place, order, exempt_roles=exempt_roles, decision_id=decision_id)


def _settle(
    tx: Connection,
    quarantines: Quarantines,
    place: Place,
    order: Order,
    *,
    exempt_roles: Sequence[str],
    decision_id: str,
) -> Held:
    """Drop the override and do what the checks want."""
    quarantines.drop_override(place)
    mode, check_id = wanted_by_checks(tx, place)
    now = quarantines.current(place)
    held = Held(tenant=order.tenant, asset=place[1], mode=mode, decision_id=None, revision=None, until=None)
    if (now.mode if now else None) == mode:
        return held
    decision = Decision(
        id=decision_id,
        tenant=order.tenant,
        asset=place[1],
        mode=mode,
        rule="override ended",
        reason=f"the override has ended; {check_id} is failing" if mode else "the override has ended",
        cause=order.cause(f"end the override of {place[1]}"),
        check_id=check_id or None,
    )
    revision = quarantines.apply(decision, exempt_roles=exempt_roles)
    return replace(held, decision_id=decision.id, revision=revision)
