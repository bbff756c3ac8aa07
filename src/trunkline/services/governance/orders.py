"""What people order of policies: to publish, revoke, roll back, restore.

Every order is one transaction: the change, the next revision and the events. Command line and API call the
same functions. An order that changes nothing is answered with what is in force, so that it can be repeated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from trunkline.catalogue.events.policy import Kind, Mode
from trunkline.catalogue.model import near
from trunkline.catalogue.names import TENANT_PATTERN
from trunkline.client.outbox import Outbox
from trunkline.errors import InvalidInput, NotFound
from trunkline.services.governance.ledger import POLICY_COLUMNS, Cause, Ledger
from trunkline.services.governance.tables import BUNDLE, POLICY
from trunkline.services.kit.ending import require_not_ended
from trunkline.services.policies.bundle import Bundle, bundle_digest
from trunkline.services.policies.policy import Policy
from trunkline.services.policies.validate import checked, require_bounded

DRAFTS_MAX: Final = 1_000
NO_VERSIONS: Final[Mapping[str, int]] = MappingProxyType({})


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy as people write it; what is published gets the next version."""

    policy_id: str
    kind: Kind
    scope: str
    body: str
    mode: Mode = "enforce"
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who orders something for which tenant, when, and why."""

    tenant: str
    actor_id: str
    now: datetime
    reason: str | None = None

    def cause(self, what: str) -> Cause:
        """The order as the cause of a change."""
        said = f"{what}: {self.reason}" if self.reason else what
        return Cause(what=said[:1_000], actor_id=self.actor_id, time=self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """What an order came to: the bundle in force, and the versions of policies that it published."""

    tenant: str
    revision: int
    digest: str
    changed: bool
    published: dict[str, int]


def publish(tx: Connection, outbox: Outbox, drafts: Sequence[Draft], order: Order) -> Activated:
    """Publish and activate policies, all of them in one revision or none. Raises `InvalidInput`, with why.

    A draft that says what the active version says already is not published again.
    """
    require_order(tx, order)
    if not 1 <= len(drafts) <= DRAFTS_MAX:
        raise InvalidInput(f"publish 1 to {DRAFTS_MAX} policies at once, not {len(drafts)}")
    policies = [checked_draft(draft) for draft in drafts]
    if len({policy.policy_id for policy in policies}) < len(policies):
        raise InvalidInput("a policy is there twice; publish one version of it")
    ledger = Ledger(tx, outbox, [order.tenant])
    return _put(ledger, policies, order, what=f"publish {_listed(policies)}")


def checked_draft(draft: Draft) -> Policy:
    """The draft as a policy of version 1, in the form it would be published in. Raises `InvalidInput`."""
    return checked(Policy(version=1, **msgspec.structs.asdict(draft)))


def revoke(tx: Connection, outbox: Outbox, policy_id: str, order: Order) -> Activated:
    """Withdraw a policy, in all of its versions. Raises `NotFound` for one that is not there."""
    require_order(tx, order)
    ledger = Ledger(tx, outbox, [order.tenant])
    version = ledger.next_version(order.tenant, policy_id) - 1
    if version == 0 or ":" in policy_id:
        known = [one.policy_id for one in ledger.active(order.tenant).policies]
        raise NotFound(f"{order.tenant} has no policy {policy_id}{near(policy_id, known)}")
    before = ledger.active(order.tenant)
    cause = order.cause(f"revoke {policy_id}")
    if not _is_revoked(tx, order.tenant, policy_id, version):
        ledger.revoke(order.tenant, policy_id, version, cause, reason=order.reason)
    after = ledger.change(order.tenant, cause, drop=[policy_id])
    return _activated(before, after, [])


def roll_back(tx: Connection, outbox: Outbox, revision: int, order: Order) -> Activated:
    """Let people's policies be again what they were in an earlier revision; raises `InvalidInput`.

    That is a new revision with new versions of what was different. Quarantines stay: their checks decide.
    """
    require_order(tx, order)
    ledger = Ledger(tx, outbox, [order.tenant])
    found = tx.execute(
        select(BUNDLE.c.members).where(BUNDLE.c.tenant == order.tenant, BUNDLE.c.revision == revision)
    ).scalar()
    if found is None:
        raise InvalidInput(
            f"{order.tenant} has no revision {revision}; `trunkline policy history` lists them"
        )
    wanted = [
        policy
        for policy in _versions(tx, order.tenant, msgspec.json.decode(found, type=dict[str, int]))
        if policy.kind != "quarantine"
    ]
    return _replace(ledger, wanted, order, what=f"roll back to revision {revision}")


def restore(tx: Connection, outbox: Outbox, bundle: Bundle, order: Order) -> Activated:
    """Go on from a bundle that an enforcer still has, after the store was lost; raises `InvalidInput`.

    Its policies are published again, and their versions and the revision go on behind those of the bundle, so
    that enforcers follow.
    Quarantines are not taken over: the replayed checks have decided on them.
    """
    require_order(tx, order)
    if bundle.tenant != order.tenant:
        raise InvalidInput(f"the bundle is of {bundle.tenant}, not of {order.tenant}")
    if bundle_digest(bundle.policies) != bundle.digest:
        raise InvalidInput("the bundle was changed: its policies do not have its digest")
    ledger = Ledger(tx, outbox, [order.tenant])
    wanted = [
        checked(msgspec.structs.replace(policy, version=1))
        for policy in bundle.policies
        if policy.kind != "quarantine"
    ]
    done = _replace(
        ledger,
        wanted,
        order,
        what=f"restore from revision {bundle.revision}",
        at_least=bundle.revision + 1,
        above=bundle.members,
    )
    # To enforcers the new revision follows none that they know: they need it whole.
    ledger.repeat(order.tenant, order.now)
    return done


def read_bundle(given: object) -> Bundle:
    """A bundle as JSON has it. Raises `InvalidInput`."""
    try:
        return msgspec.convert(given, Bundle)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"not a bundle: {error}") from error


def _replace(
    ledger: Ledger,
    wanted: Iterable[Policy],
    order: Order,
    *,
    what: str,
    at_least: int = 0,
    above: Mapping[str, int] = NO_VERSIONS,
) -> Activated:
    """Let these be the people's policies, beside the quarantines that are there."""
    active = ledger.active(order.tenant).policies
    wanted = list(wanted)
    kept = {policy.policy_id for policy in wanted}
    drop = [one.policy_id for one in active if one.kind != "quarantine" and one.policy_id not in kept]
    return _put(ledger, wanted, order, what=what, drop=drop, at_least=at_least, above=above)


def _put(
    ledger: Ledger,
    policies: Iterable[Policy],
    order: Order,
    *,
    what: str,
    drop: Sequence[str] = (),
    at_least: int = 0,
    above: Mapping[str, int] = NO_VERSIONS,
) -> Activated:
    """Publish what differs from its active version, and activate it."""
    before = ledger.active(order.tenant)
    active = {policy.policy_id: policy for policy in before.policies}
    cause = order.cause(what)
    new = []
    for policy in policies:
        there = active.get(policy.policy_id)
        if there is None or msgspec.structs.replace(policy, version=there.version) != there:
            least = above.get(policy.policy_id, 0)
            version = ledger.next_version(order.tenant, policy.policy_id, above=least)
            new.append(msgspec.structs.replace(policy, version=version))
    after = {**active, **{policy.policy_id: policy for policy in new}}
    for policy_id in drop:
        after.pop(policy_id, None)
    require_bounded(after.values())
    for policy in new:
        ledger.add(order.tenant, policy, cause)
    bundle = ledger.activate(order.tenant, after.values(), cause, at_least=at_least)
    return _activated(before, bundle, new)


def _activated(before: Bundle, after: Bundle, new: Iterable[Policy]) -> Activated:
    return Activated(
        tenant=after.tenant,
        revision=after.revision,
        digest=after.digest,
        changed=after.revision != before.revision,
        published={policy.policy_id: policy.version for policy in new},
    )


def _versions(tx: Connection, tenant: str, wanted: dict[str, int]) -> list[Policy]:
    rows = tx.execute(
        select(*POLICY_COLUMNS).where(POLICY.c.tenant == tenant, POLICY.c.policy_id.in_(wanted))
    )
    found = [Policy(**row) for row in rows.mappings()]
    return [policy for policy in found if wanted[policy.policy_id] == policy.version]


def _is_revoked(tx: Connection, tenant: str, policy_id: str, version: int) -> bool:
    found = select(POLICY.c.revoked_us).where(
        POLICY.c.tenant == tenant, POLICY.c.policy_id == policy_id, POLICY.c.version == version
    )
    return tx.execute(found).scalar() is not None


def require_order(tx: Connection, order: Order) -> None:
    """Raises `InvalidInput` for a tenant that cannot be, and `TenantEnded`; none ends before `tx` does."""
    if not TENANT_PATTERN.fullmatch(order.tenant):
        raise InvalidInput(f"tenant {order.tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'")
    require_not_ended(tx, order.tenant)


def _listed(policies: Sequence[Policy]) -> str:
    names = [policy.policy_id for policy in policies[:5]]
    return ", ".join(names) + (
        f" and {len(policies) - len(names)} more" if len(policies) > len(names) else ""
    )
