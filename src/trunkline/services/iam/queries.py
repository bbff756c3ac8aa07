"""What can be asked of IAM. Reads only; results are plain values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, select

from trunkline.services.iam.tables import ACCOUNT, API_KEY, ERASURE_REQUEST, PERMISSION, ROLE
from trunkline.services.kit.ending.ends import from_us, to_us

PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user, or the id of an API key, who has tried to log in."""

    user_id: str
    attempts: int
    locked_until: datetime | None
    logins: int
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """A permission that somebody has."""

    grantee_id: str
    permission: str
    resource: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role of a user, in the whole tenant unless there is a scope."""

    user_id: str
    role: str
    scope: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key, without what would let anybody use it."""

    key_id: str
    last_four: str
    name: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRequest:
    """A person's wish to have their data erased."""

    request_id: str
    subject_id: str
    requested_at: datetime
    due_at: datetime | None
    completed_at: datetime | None
    services: int | None
    records_erased: int | None


def account(tx: Connection, tenant: str, user: str) -> Account | None:
    """The account of a user."""
    return next(iter(accounts(tx, tenant, user=user)), None)


def accounts(
    tx: Connection, tenant: str, *, user: str | None = None, after: str = "", limit: int = PAGE
) -> list[Account]:
    """Accounts of a tenant behind the one named `after`, by name."""
    table = ACCOUNT.c
    query = select(ACCOUNT).where(table.tenant == tenant, table.user_id > after)
    if user is not None:
        query = query.where(table.user_id == user)
    return [
        Account(
            user_id=row.user_id,
            attempts=row.attempts,
            locked_until=_moment(row.locked_until_us),
            logins=row.logins,
            last_login_at=_moment(row.last_login_us),
        )
        for row in tx.execute(query.order_by(table.user_id).limit(limit))
    ]


def permissions(
    tx: Connection,
    tenant: str,
    *,
    at: datetime,
    grantee: str | None = None,
    after: tuple[str, str, str] = ("", "", ""),
    limit: int = PAGE,
) -> list[Permission]:
    """What was granted and holds at this moment, by grantee, permission and resource, behind `after`."""
    table = PERMISSION.c
    order = (table.grantee_id, table.permission, table.resource)
    query = select(PERMISSION).where(table.tenant == tenant, table.granted == 1)
    query = query.where((table.expires_us.is_(None)) | (table.expires_us > to_us(at)))
    if grantee is not None:
        query = query.where(table.grantee_id == grantee)
    return [
        Permission(
            grantee_id=row.grantee_id,
            permission=row.permission,
            resource=row.resource,
            expires_at=_moment(row.expires_us),
        )
        for row in tx.execute(query.where(_behind(order, after)).order_by(*order).limit(limit))
    ]


def may(tx: Connection, tenant: str, user: str, permission: str, resource: str, *, at: datetime) -> bool:
    """Whether a user has a permission on a resource at this moment."""
    table = PERMISSION.c
    query = select(table.expires_us).where(
        table.tenant == tenant,
        table.grantee_id == user,
        table.permission == permission,
        table.resource == resource,
        table.granted == 1,
    )
    row = tx.execute(query).first()
    return row is not None and (row.expires_us is None or row.expires_us > to_us(at))


def roles(
    tx: Connection,
    tenant: str,
    *,
    user: str | None = None,
    after: tuple[str, str, str] = ("", "", ""),
    limit: int = PAGE,
) -> list[Role]:
    """Roles of a tenant's users, by user, role and scope, behind `after`."""
    table = ROLE.c
    order = (table.user_id, table.role, table.scope)
    query = select(ROLE).where(table.tenant == tenant, _behind(order, after))
    if user is not None:
        query = query.where(table.user_id == user)
    rows = tx.execute(query.order_by(*order).limit(limit))
    return [Role(user_id=row.user_id, role=row.role, scope=row.scope or None) for row in rows]


def api_keys(tx: Connection, tenant: str, *, after: str = "", limit: int = PAGE) -> list[ApiKey]:
    """A tenant's API keys behind the one named `after`, by id."""
    table = API_KEY.c
    query = select(API_KEY).where(table.tenant == tenant, table.key_id > after)
    return [
        ApiKey(
            key_id=row.key_id,
            last_four=row.last_four,
            name=row.name,
            created_at=from_us(row.created_us),
            expires_at=_moment(row.expires_us),
            revoked_at=_moment(row.revoked_us),
        )
        for row in tx.execute(query.order_by(table.key_id).limit(limit))
    ]


def erasure_requests(
    tx: Connection, tenant: str, *, after: str = "", limit: int = PAGE
) -> list[ErasureRequest]:
    """A tenant's erasure requests behind the one named `after`, by id."""
    table = ERASURE_REQUEST.c
    query = select(ERASURE_REQUEST).where(table.tenant == tenant, table.request_id > after)
    return [
        ErasureRequest(
            request_id=row.request_id,
            subject_id=row.subject_id,
            requested_at=from_us(row.requested_us),
            due_at=_moment(row.due_us),
            completed_at=_moment(row.completed_us),
            services=row.services,
            records_erased=row.records_erased,
        )
        for row in tx.execute(query.order_by(table.request_id).limit(limit))
    ]


def _behind(order: tuple[Column[Any], ...], after: tuple[str, str, str]) -> ColumnElement[bool]:
    first, second, third = order
    return (first > after[0]) | (
        (first == after[0]) & ((second > after[1]) | ((second == after[1]) & (third > after[2])))
    )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_us(microseconds)
