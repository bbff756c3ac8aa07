"""What can be done with tenants: the service's Python API, which command line and HTTP API call, too.

    desk = Desk.of(context)
    with context.store.write() as tx:
        desk.create(tx, "acme", tier="starter", region="eu-west-1", actor="ops")
    context.wake()

Every method takes the caller's transaction, in which the change and its event are one. Repeating a call is
safe: what has been done already is not done again, and tells nobody again. With `expected` a change is made
only to that version of the tenant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self, cast, get_args

from sqlalchemy import Connection, update

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.tenant import (
    TenantActivated,
    TenantCreated,
    TenantDeleted,
    TenantDeletionScheduled,
    TenantProvisioningFailed,
    TenantReactivated,
    TenantSuspended,
    TenantTierChanged,
    Tier,
)
from trunkline.catalogue.names import SYSTEM_TENANT, TENANT_PATTERN
from trunkline.client.outbox import Outbox
from trunkline.errors import InvalidInput
from trunkline.services.app import Context
from trunkline.services.kit.ending.ends import to_us
from trunkline.services.kit.keys import KeyRing
from trunkline.services.tenant import store
from trunkline.services.tenant.lifecycle import State, Step, StepRefused, next_state
from trunkline.services.tenant.store import Outcome, Recorder, Tenant
from trunkline.services.tenant.tables import TENANT, TENANT_CHANGE

TIERS: Final = get_args(Tier)
GRACE: Final = timedelta(days=30)
"""How long a tenant that is to be deleted is kept, unless somebody says otherwise."""

GRACE_MAX: Final = timedelta(days=3_650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Changes tenants. Stateless, thread-safe."""

    outbox: Outbox
    keys: KeyRing
    wall: Callable[[], datetime]

    @classmethod
    def of(cls, context: Context) -> Self:
        """The desk of the running service, or of a command on its store."""
        assert context.outbox is not None, "tenant-service publishes"
        return cls(outbox=context.outbox, keys=context.keys, wall=context.wall)

    def create(
        self,
        tx: Connection,
        tenant: str,
        *,
        tier: str,
        region: str,
        actor: str,
        display_name: str | None = None,
        admin_email: str | None = None,
    ) -> Outcome:
        """Sign a tenant up; it is pending until it is activated. The id of a deleted one is not used again.

        Raises `InvalidInput` for an id, tier or address that cannot be, and `StepRefused` for an id that is
        taken by a tenant with other properties.
        """
        if tenant == SYSTEM_TENANT or not TENANT_PATTERN.fullmatch(tenant):
            raise InvalidInput(
                f"tenant {tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-', "
                f"but not {SYSTEM_TENANT}, which is the platform"
            )
        there = store.find(tx, tenant, lock=True)
        if there is not None:
            return self._created(there, tier=tier, region=region, display_name=display_name)
        event = TenantCreated(
            name=tenant,
            tier=_tier(tier),
            region=region,
            actor_id=actor,
            display_name=display_name,
            admin_email=admin_email,
        )
        sealed = None
        if admin_email is not None:
            sealed = self.keys.seal(tenant, admin_email.encode(), place=store.EMAIL_PLACE)
        values = {
            "state": State.PENDING,
            "tier": tier,
            "region": region,
            "display_name": display_name,
            "admin_email": sealed,
        }
        added = store.add(tx, tenant, values, event, self._recorder())
        if added is None:
            # Somebody else was first, whose row could not be seen before.
            there = store.get(tx, tenant, lock=True)
            return self._created(there, tier=tier, region=region, display_name=display_name)
        return Outcome(added, changed=True)

    def activate(self, tx: Connection, tenant: str, *, actor: str, expected: int | None = None) -> Outcome:
        """Provisioning ended well. Raises as `next_state` does, as all of the following."""
        found = self._at(tx, tenant, expected)
        event = TenantActivated(name=tenant, tier=_tier(found.tier), actor_id=actor)
        return self._step(tx, found, Step.ACTIVATE, event, activated_us=to_us(self.wall()))

    def fail(
        self,
        tx: Connection,
        tenant: str,
        *,
        step: str,
        message: str,
        retryable: bool = False,
        expected: int | None = None,
    ) -> Outcome:
        """A step of provisioning failed."""
        found = self._at(tx, tenant, expected)
        event = TenantProvisioningFailed(name=tenant, step=step, message=message, retryable=retryable)
        return self._step(tx, found, Step.FAIL, event, note=message)

    def change_tier(
        self,
        tx: Connection,
        tenant: str,
        *,
        tier: str,
        actor: str,
        effective_at: datetime | None = None,
        expected: int | None = None,
    ) -> Outcome:
        """Move an active tenant to another tier, from now on unless another moment is given."""
        found = self._at(tx, tenant, expected)
        if found.state is State.ACTIVE and found.tier == tier:
            return Outcome(found, changed=False)
        event = TenantTierChanged(
            name=tenant,
            previous_tier=_tier(found.tier),
            tier=_tier(tier),
            effective_at=effective_at or self.wall(),
            actor_id=actor,
        )
        return self._step(tx, found, Step.CHANGE_TIER, event, tier=tier)

    def suspend(
        self,
        tx: Connection,
        tenant: str,
        *,
        reason: str,
        actor: str,
        note: str | None = None,
        expected: int | None = None,
    ) -> Outcome:
        """Let an active tenant do nothing for now; its data stays. `reason` is a short code."""
        found = self._at(tx, tenant, expected)
        event = TenantSuspended(name=tenant, reason_code=reason, actor_id=actor, note=note)
        return self._step(tx, found, Step.SUSPEND, event, note=note)

    def reactivate(
        self,
        tx: Connection,
        tenant: str,
        *,
        actor: str,
        note: str | None = None,
        expected: int | None = None,
    ) -> Outcome:
        """Let a suspended tenant work again, or call off a deletion; not of one that never was active."""
        found = self._at(tx, tenant, expected)
        if found.state is State.PENDING_DELETION and found.activated_at is None:
            raise StepRefused(f"cannot reactivate tenant {tenant}: it was never active")
        event = TenantReactivated(name=tenant, actor_id=actor, note=note)
        return self._step(tx, found, Step.REACTIVATE, event, note=note, delete_us=None)

    def schedule_deletion(
        self,
        tx: Connection,
        tenant: str,
        *,
        actor: str,
        grace: timedelta = GRACE,
        note: str | None = None,
        expected: int | None = None,
    ) -> Outcome:
        """Delete a tenant after a grace period, in which `reactivate` calls it off."""
        if not timedelta(0) <= grace <= GRACE_MAX:
            raise InvalidInput(f"a grace period lasts up to {GRACE_MAX.days} days")
        found = self._at(tx, tenant, expected)
        delete_at = self.wall() + grace
        event = TenantDeletionScheduled(name=tenant, delete_at=delete_at, actor_id=actor, note=note)
        return self._step(tx, found, Step.SCHEDULE_DELETION, event, note=note, delete_us=to_us(delete_at))

    def delete(
        self, tx: Connection, tenant: str, *, actor: str, now: bool = False, expected: int | None = None
    ) -> Outcome:
        """Delete a tenant whose grace period is over; with `now` before that. There is no way back.

        Every service erases what it holds of it, this one, too; the row stays so that nobody gets the id.
        """
        found = self._at(tx, tenant, expected)
        wall = self.wall()
        if not now and found.delete_at is not None and found.delete_at > wall:
            raise StepRefused(
                f"cannot delete tenant {tenant}: its grace period lasts until "
                f"{found.delete_at:%Y-%m-%dT%H:%M:%SZ}; --now ends it"
            )
        event = TenantDeleted(name=tenant, actor_id=actor)
        deletion_id = store.event_id(tenant, found.version + 1)
        return self._step(
            tx, found, Step.DELETE, event, delete_us=None, deleted_us=to_us(wall), deletion_id=deletion_id
        )

    def _at(self, tx: Connection, tenant: str, expected: int | None) -> Tenant:
        found = store.get(tx, tenant, lock=True)
        if expected is not None and found.version != expected:
            raise StepRefused(
                f"tenant {tenant} is at version {found.version}, not {expected}; look at it and try again"
            )
        return found

    def _step(
        self,
        tx: Connection,
        found: Tenant,
        step: Step,
        event: Event,
        *,
        note: str | None = None,
        **values: object,
    ) -> Outcome:
        state = next_state(found.tenant, found.state, step)
        if state is None:
            return Outcome(found, changed=False)
        changed = store.change(tx, found, {"state": state, **values}, event, self._recorder(note))
        return Outcome(changed, changed=True)

    def _created(self, there: Tenant, *, tier: str, region: str, display_name: str | None) -> Outcome:
        if there.state is State.DELETED:
            raise StepRefused(f"tenant {there.tenant} was deleted; its id is not used again")
        if (there.tier, there.region, there.display_name) != (tier, region, display_name):
            raise StepRefused(f"there is a tenant {there.tenant} already, with other properties")
        return Outcome(there, changed=False)

    def _recorder(self, note: str | None = None) -> Recorder:
        return Recorder(outbox=self.outbox, now=self.wall(), note=note)


class TenantEraser:
    """The service's `services.app.Eraser`: what names people goes, the row of the tenant stays."""

    def erase(self, tx: Connection, tenant: str) -> dict[str, int]:
        """See `Eraser`."""
        blank = {"display_name": None, "admin_email": None}
        named = update(TENANT).where(TENANT.c.tenant == tenant).values(**blank)
        changes = update(TENANT_CHANGE).where(TENANT_CHANGE.c.tenant == tenant)
        return {
            TENANT.name: tx.execute(named).rowcount,
            TENANT_CHANGE.name: tx.execute(changes.values(actor_id=None, note=None)).rowcount,
        }


def _tier(name: str) -> Tier:
    if name not in TIERS:
        raise InvalidInput(f"tier {name!r}: there are {', '.join(TIERS)}")
    return cast("Tier", name)
