"""The HTTP API: a tenant's accounts, permissions, roles, keys, requests; for operators, receipts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Body, Depends
from sqlalchemy import Connection

from trunkline.catalogue.events.access import LoginMethod
from trunkline.services.app import Context
from trunkline.services.iam import queries
from trunkline.services.iam.desk import Desk, Login, NewKey
from trunkline.services.iam.receipts import Deletion, deletions
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Problem,
    Reading,
    caller,
    decode_cursor,
    operator,
    page_of,
    reading,
)

ADMIN = "iam:admin"
"""The scope of those who may change who may do what in their tenant."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Whether there was anything to do."""

    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLogin:
    """An attempt, and whether the credentials were found to be right."""

    user_id: str
    method: LoginMethod
    verified: bool
    reason: str = "bad_credentials"
    source_ip: str | None = None
    user_agent: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A permission to give or to take."""

    grantee_id: str
    permission: str
    resource: str
    expires_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A role to give."""

    user_id: str
    role: str
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """An API key to issue."""

    name: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureWish:
    """A person who wants their data erased."""

    subject_id: str
    request_id: str | None = None
    due_at: datetime | None = None


def _admin(who: Annotated[Caller, caller]) -> Caller:
    if ADMIN not in who.scopes and not who.is_operator:
        raise Problem(403, f"this needs a token with the scope {ADMIN}")
    return who


admin = Depends(_admin)
"""As `caller`, and 403 for who may not change who may do what."""


def routes(context: Context, desk: Desk) -> APIRouter:
    """The service's routes."""
    router = APIRouter(tags=["iam"])
    _add_reads(router, context)
    _add_writes(router, context, desk)
    _add_keys(router, context, desk)

    @router.get("/deletions")
    def ended(
        _who: Annotated[Caller, operator],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[Deletion]:
        """Ended tenants, the receipts of the services, and who has not answered."""
        (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
        found = deletions(at.tx, services=context.catalogue.services, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.tenant,))

    return router


def _add_reads(router: APIRouter, context: Context) -> None:
    @router.get("/accounts")
    def accounts(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[queries.Account]:
        """Who has tried to log in, and how that went."""
        (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
        found = queries.accounts(at.tx, who.tenant, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.user_id,))

    @router.get("/permissions")
    def permissions(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        grantee: str | None = None,
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[queries.Permission]:
        """What was granted and holds now."""
        after = decode_cursor(cursor, tuple[str, str, str]) if cursor else ("", "", "")
        found = queries.permissions(
            at.tx, who.tenant, at=context.wall(), grantee=grantee, after=after, limit=limit + 1
        )
        return page_of(found, limit, lambda one: (one.grantee_id, one.permission, one.resource))

    @router.get("/roles")
    def roles(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        user: str | None = None,
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[queries.Role]:
        """Who has which role."""
        after = decode_cursor(cursor, tuple[str, str, str]) if cursor else ("", "", "")
        found = queries.roles(at.tx, who.tenant, user=user, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.user_id, one.role, one.scope or ""))

    @router.get("/api-keys")
    def api_keys(
        who: Annotated[Caller, admin],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[queries.ApiKey]:
        """The tenant's keys, without their secrets."""
        (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
        found = queries.api_keys(at.tx, who.tenant, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.key_id,))

    @router.get("/erasure-requests")
    def erasure_requests(
        who: Annotated[Caller, admin],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[queries.ErasureRequest]:
        """Whose data is to be erased, and whose is."""
        (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
        found = queries.erasure_requests(at.tx, who.tenant, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.request_id,))


def _add_writes(router: APIRouter, context: Context, desk: Desk) -> None:
    @router.post("/logins")
    def log_in(body: NewLogin, who: Annotated[Caller, admin]) -> Login:
        """Record an attempt, and learn whether it is let in."""
        return _write(
            context,
            lambda tx: desk.log_in(
                tx,
                who.tenant,
                body.user_id,
                method=body.method,
                verified=body.verified,
                reason=body.reason,
                source_ip=body.source_ip,
                user_agent=body.user_agent,
                session=body.session_id,
            ),
        )

    @router.post("/permissions/grant")
    def grant(body: Grant, who: Annotated[Caller, admin]) -> Done:
        """Give a permission."""
        changed = _write(
            context,
            lambda tx: desk.grant(
                tx,
                who.tenant,
                body.grantee_id,
                body.permission,
                body.resource,
                actor=who.subject,
                expires_at=body.expires_at,
            ),
        )
        return Done(changed=changed)

    @router.post("/permissions/revoke")
    def revoke(body: Grant, who: Annotated[Caller, admin]) -> Done:
        """Take a permission away."""
        changed = _write(
            context,
            lambda tx: desk.revoke(
                tx,
                who.tenant,
                body.grantee_id,
                body.permission,
                body.resource,
                actor=who.subject,
                reason=body.reason,
            ),
        )
        return Done(changed=changed)

    @router.post("/roles")
    def assign(body: Assignment, who: Annotated[Caller, admin]) -> Done:
        """Give a user a role."""
        changed = _write(
            context,
            lambda tx: desk.assign_role(
                tx, who.tenant, body.user_id, body.role, actor=who.subject, scope=body.scope
            ),
        )
        return Done(changed=changed)

    @router.delete("/roles")
    def unassign(
        who: Annotated[Caller, admin],
        user_id: str,
        role: str,
        scope: str | None = None,
        reason: str | None = None,
    ) -> Done:
        """Take a role away, in the whole tenant or in the scope."""
        changed = _write(
            context,
            lambda tx: desk.unassign_role(
                tx, who.tenant, user_id, role, actor=who.subject, scope=scope, reason=reason
            ),
        )
        return Done(changed=changed)

    @router.post("/erasure-requests", status_code=201)
    def request_erasure(body: ErasureWish, who: Annotated[Caller, admin]) -> dict[str, str]:
        """Record that a person wants their data erased."""
        request_id = _write(
            context,
            lambda tx: desk.request_erasure(
                tx,
                who.tenant,
                body.subject_id,
                actor=who.subject,
                request_id=body.request_id,
                due_at=body.due_at,
            ),
        )
        return {"request_id": request_id}


def _add_keys(router: APIRouter, context: Context, desk: Desk) -> None:
    @router.post("/api-keys", status_code=201)
    def create(
        body: Annotated[KeyWish, Body(default_factory=KeyWish)], who: Annotated[Caller, admin]
    ) -> NewKey:
        """Issue a key. It is in this answer and nowhere else."""
        return _write(
            context,
            lambda tx: desk.create_key(
                tx, who.tenant, actor=who.subject, name=body.name, expires_at=body.expires_at
            ),
        )

    @router.delete("/api-keys/{key_id}")
    def revoke(key_id: str, who: Annotated[Caller, admin], reason: str | None = None) -> Done:
        """Let a key work no more."""
        changed = _write(
            context,
            lambda tx: desk.revoke_key(tx, who.tenant, key_id, actor=who.subject, reason=reason),
        )
        return Done(changed=changed)


def _write(context: Context, work: Callable[[Connection], T]) -> T:
    with context.store.write() as tx:
        outcome = work(tx)
    context.wake()
    return outcome
