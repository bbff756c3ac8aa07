"""Policies and bundles of tenants in one transaction: what is active, and what becomes active.

Revisions. A tenant's bundle changes for two kinds of reason: what people order, and what quality events lead
to. Each change that really changes something takes the next number, one change one number, however events
are batched; a change that leaves the bundle as it is takes none. From this follows what can be promised:

- A replay of the quality events into an empty store activates the same sets of policies under the same
  numbers with the same digests, because all causes of a tenant come from one partition, in order, and a
  decision depends on nothing but them and the rules. Ids of events are derived from what they say (policy
  version and content, revision and digest), so that a replay publishes the same events, and never another
  content under a known id.
- Orders of people are in no topic: the store is their only place, and its backup the way to get them back
  (`trunkline policy restore` continues from a bundle that an enforcer still has). They touch the policies
  that people publish and leave the quarantines alone, quality events the other way round. So in whichever
  order the two kinds come, in the end the set is the same, hence the digest, and the number of changes is the
  same, hence the revision; only the sets in between differ, and a query names the one that decided on it.

The row of a tenant in `governance_bundle_head` is locked before its bundle is read, so that changes of one
tenant happen one after the other in any number of processes. Tenants are locked in the order of their names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.policy import PolicyPublished, PolicyRevoked
from trunkline.client.outbox import Outbox
from trunkline.codec.identity import derive_id
from trunkline.services.governance.moments import to_us
from trunkline.services.governance.tables import BUNDLE, HEAD, MEMBER, POLICY
from trunkline.services.policies.bundle import (
    Bundle,
    activation,
    bundle_digest,
    new_bundle,
    snapshot_events,
)
from trunkline.services.policies.policy import Policy

REVISIONS_KEPT: Final = 1_000
"""Of a tenant's bundles: how far back `history` and `rollback` reach."""

POLICY_COLUMNS: Final = tuple(POLICY.c[name] for name in Policy.__struct_fields__)
"""The columns that make a `Policy`, in its order."""

EMPTY_DIGEST: Final = bundle_digest(())

_members: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something changes: `what` in words, by whom, when, and the event that it follows from, if any."""

    what: str
    actor_id: str
    time: datetime
    causationid: str | None = None
    correlationid: str | None = None
    traceparent: str | None = None


class Ledger:
    """The bundles of some tenants, locked until the transaction ends. Not to be used in another one."""

    def __init__(self, tx: Connection, outbox: Outbox, tenants: Iterable[str]) -> None:
        self.tx = tx
        self._outbox = outbox
        self._active: dict[str, Bundle] = {}
        self._lock(sorted(set(tenants)))

    def active(self, tenant: str) -> Bundle:
        """The bundle in force."""
        found = self._active.get(tenant)
        if found is None:
            revision = self.tx.execute(select(HEAD.c.revision).where(HEAD.c.tenant == tenant)).scalar_one()
            found = self._active[tenant] = new_bundle(tenant, revision, members(self.tx, tenant))
        return found

    def next_version(self, tenant: str, policy_id: str, *, above: int = 0) -> int:
        """The number of the next version of a policy, beyond `above`; never one that was used before."""
        known = select(func.max(POLICY.c.version)).where(
            POLICY.c.tenant == tenant, POLICY.c.policy_id == policy_id
        )
        return max(self.tx.execute(known).scalar() or 0, above) + 1

    def add(self, tenant: str, policy: Policy, cause: Cause) -> None:
        """Publish a version; it decides nothing before it is activated."""
        row = msgspec.structs.asdict(policy)
        self.tx.execute(
            insert(POLICY).values(tenant=tenant, actor_id=cause.actor_id, created_us=to_us(cause.time), **row)
        )
        event = PolicyPublished(actor_id=cause.actor_id, **row)
        content = bundle_digest([policy])
        self.emit(tenant, event, cause, "policy.published", policy.policy_id, str(policy.version), content)

    def revoke(self, tenant: str, policy_id: str, version: int, cause: Cause, *, reason: str | None) -> None:
        """Withdraw a policy, in this version and all before it; it is not taken out of the bundle here."""
        self.tx.execute(
            POLICY.update()
            .where(POLICY.c.tenant == tenant, POLICY.c.policy_id == policy_id, POLICY.c.version <= version)
            .values(revoked_us=to_us(cause.time))
        )
        event = PolicyRevoked(policy_id=policy_id, version=version, actor_id=cause.actor_id, reason=reason)
        self.emit(tenant, event, cause, "policy.revoked", policy_id, str(version))

    def activate(self, tenant: str, policies: Iterable[Policy], cause: Cause, *, at_least: int = 0) -> Bundle:
        """Let exactly these policies decide from now on; returns the bundle in force afterwards.

        They must have been added. Without a difference nothing happens, unless a revision beyond `at_least`
        is asked for and the present one is not.
        """
        before = self.active(tenant)
        revision = max(before.revision + 1, at_least)
        after = new_bundle(tenant, revision, policies)
        if after.digest == before.digest and before.revision >= at_least:
            return before
        self._store(before, after, cause)
        event = activation(after, previous_revision=before.revision)
        self.emit(tenant, event, cause, "policy.bundle_activated", str(after.revision), after.digest)
        self._active[tenant] = after
        return after

    def change(
        self, tenant: str, cause: Cause, *, put: Sequence[Policy] = (), drop: Iterable[str] = ()
    ) -> Bundle:
        """`activate` what is active, with these put in and the policies of these ids taken out."""
        changed = {policy.policy_id: policy for policy in self.active(tenant).policies}
        for policy_id in drop:
            changed.pop(policy_id, None)
        for policy in put:
            changed[policy.policy_id] = policy
        return self.activate(tenant, changed.values(), cause)

    def repeat(self, tenant: str, now: datetime) -> None:
        """Publish the bundle in force with its whole policies."""
        for event in snapshot_events(self.active(tenant)):
            self._outbox.emit(self.tx, event, tenant=tenant, time=now)

    def emit(self, tenant: str, event: Event, cause: Cause, *identity: str) -> None:
        """Publish an event whose id follows from what it says."""
        self._outbox.emit(
            self.tx,
            event,
            tenant=tenant,
            id=derive_id("governance", tenant, *identity),
            time=cause.time,
            causationid=cause.causationid,
            correlationid=cause.correlationid,
            traceparent=cause.traceparent,
        )

    def _lock(self, tenants: Sequence[str]) -> None:
        if not tenants:
            return
        new = postgresql.insert(HEAD) if self.tx.dialect.name == "postgresql" else sqlite.insert(HEAD)
        rows = [
            {"tenant": tenant, "revision": 0, "digest": EMPTY_DIGEST, "snapshot_us": 0} for tenant in tenants
        ]
        self.tx.execute(new.on_conflict_do_nothing(), rows)
        locked = select(HEAD.c.tenant).where(HEAD.c.tenant.in_(tenants)).order_by(HEAD.c.tenant)
        self.tx.execute(locked.with_for_update()).all()

    def _store(self, before: Bundle, after: Bundle, cause: Cause) -> None:
        tenant, was, now = after.tenant, before.members, after.members
        changed = [key for key in was.keys() | now.keys() if was.get(key) != now.get(key)]
        gone = MEMBER.c.tenant == tenant, MEMBER.c.policy_id.in_(changed)
        self.tx.execute(delete(MEMBER).where(*gone))
        put = [{"tenant": tenant, "policy_id": key, "version": now[key]} for key in changed if key in now]
        if put:
            self.tx.execute(insert(MEMBER), put)
        self.tx.execute(
            insert(BUNDLE).values(
                tenant=tenant,
                revision=after.revision,
                digest=after.digest,
                members=_members(now).decode(),
                cause=cause.what,
                actor_id=cause.actor_id,
                created_us=to_us(cause.time),
            )
        )
        old = BUNDLE.c.tenant == tenant, BUNDLE.c.revision <= after.revision - REVISIONS_KEPT
        self.tx.execute(delete(BUNDLE).where(*old))
        self.tx.execute(
            HEAD.update().where(HEAD.c.tenant == tenant).values(revision=after.revision, digest=after.digest)
        )


def members(tx: Connection, tenant: str) -> list[Policy]:
    """The policies of a tenant's active bundle."""
    joined = POLICY.join(
        MEMBER,
        (POLICY.c.tenant == MEMBER.c.tenant)
        & (POLICY.c.policy_id == MEMBER.c.policy_id)
        & (POLICY.c.version == MEMBER.c.version),
    )
    rows = tx.execute(select(*POLICY_COLUMNS).select_from(joined).where(MEMBER.c.tenant == tenant))
    return [Policy(**row) for row in rows.mappings()]
