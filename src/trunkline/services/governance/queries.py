"""What can be asked of policies, bundles and enforcers. Reads only; answers are plain values for JSON."""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, RowMapping, select, tuple_

from trunkline.catalogue.events.policy import Kind, Mode
from trunkline.errors import NotFound
from trunkline.services.governance.ledger import members
from trunkline.services.governance.moments import from_us
from trunkline.services.governance.tables import BUNDLE, ENFORCER, HEAD, MEMBER, POLICY
from trunkline.services.policies.bundle import Bundle, new_bundle

_ON = (
    (MEMBER.c.tenant == POLICY.c.tenant)
    & (MEMBER.c.policy_id == POLICY.c.policy_id)
    & (MEMBER.c.version == POLICY.c.version)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """A version of a policy. `active`: the bundle in force has it."""

    policy_id: str
    version: int
    kind: Kind
    mode: Mode
    scope: str
    body: str
    title: str | None
    actor_id: str
    created_at: datetime
    revoked_at: datetime | None
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A bundle that was activated, and why; `members` tells which version of which policy it has."""

    revision: int
    digest: str
    cause: str
    actor_id: str
    activated_at: datetime
    members: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcerView:
    """What an enforcer last said of a tenant's bundle. `behind`: it does not have the one in force."""

    instance: str
    service: str
    tenant: str
    revision: int
    behind: bool
    problem: str | None
    seen_at: datetime


def bundle(tx: Connection, tenant: str) -> Bundle:
    """The bundle in force; of revision 0 and empty for a tenant that never had any."""
    revision = tx.execute(select(HEAD.c.revision).where(HEAD.c.tenant == tenant)).scalar()
    return new_bundle(tenant, revision or 0, members(tx, tenant))


def policies(
    tx: Connection, tenant: str, *, all_versions: bool, limit: int, after: tuple[str, int] | None
) -> list[PolicyView]:
    """Policies by id and version: those in force, or all versions of all."""
    order = (POLICY.c.policy_id, POLICY.c.version)
    query = select(POLICY, MEMBER.c.version.label("member")).select_from(
        POLICY.join(MEMBER, _ON, isouter=all_versions)
    )
    query = query.where(POLICY.c.tenant == tenant).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(*after))
    return [_policy(row) for row in tx.execute(query).mappings()]


def policy(tx: Connection, tenant: str, policy_id: str) -> list[PolicyView]:
    """All versions of a policy, newest first. Raises `NotFound`."""
    query = (
        select(POLICY, MEMBER.c.version.label("member"))
        .select_from(POLICY.join(MEMBER, _ON, isouter=True))
        .where(POLICY.c.tenant == tenant, POLICY.c.policy_id == policy_id)
        .order_by(POLICY.c.version.desc())
    )
    found = [_policy(row) for row in tx.execute(query).mappings()]
    if not found:
        raise NotFound(f"{tenant} has no policy {policy_id}; `trunkline policy list` names them")
    return found


def history(tx: Connection, tenant: str, *, limit: int, before: int | None = None) -> list[Revision]:
    """The bundles that were activated, newest first."""
    query = select(BUNDLE).where(BUNDLE.c.tenant == tenant).order_by(BUNDLE.c.revision.desc()).limit(limit)
    if before is not None:
        query = query.where(BUNDLE.c.revision < before)
    return [
        Revision(
            revision=row.revision,
            digest=row.digest,
            cause=row.cause,
            actor_id=row.actor_id,
            activated_at=from_us(row.created_us),
            members=msgspec.json.decode(row.members),
        )
        for row in tx.execute(query)
    ]


def enforcers(tx: Connection, tenant: str | None) -> list[EnforcerView]:
    """What enforcers last said, of one tenant's bundle or of all."""
    query = select(ENFORCER, HEAD.c.revision.label("newest"), HEAD.c.digest.label("wanted")).select_from(
        ENFORCER.join(HEAD, HEAD.c.tenant == ENFORCER.c.tenant, isouter=True)
    )
    if tenant is not None:
        query = query.where(ENFORCER.c.tenant == tenant)
    return [
        EnforcerView(
            instance=row.instance,
            service=row.service,
            tenant=row.tenant,
            revision=row.revision,
            behind=row.newest is not None and (row.revision, row.digest) != (row.newest, row.wanted),
            problem=row.problem,
            seen_at=from_us(row.seen_us),
        )
        for row in tx.execute(query.order_by(ENFORCER.c.instance, ENFORCER.c.tenant))
    ]


def _policy(row: RowMapping) -> PolicyView:
    return PolicyView(
        policy_id=row["policy_id"],
        version=row["version"],
        kind=row["kind"],
        mode=row["mode"],
        scope=row["scope"],
        body=row["body"],
        title=row["title"],
        actor_id=row["actor_id"],
        created_at=from_us(row["created_us"]),
        revoked_at=None if row["revoked_us"] is None else from_us(row["revoked_us"]),
        active=row["member"] is not None,
    )
