"""The HTTP API: a tenant about itself, the platform's operator about all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field
from sqlalchemy import Connection

from trunkline.services.app import Context
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Reading,
    caller,
    decode_cursor,
    operator,
    page_of,
    reading,
)
from trunkline.services.kit.api.problems import Problem
from trunkline.services.tenant import store
from trunkline.services.tenant.desk import GRACE, Desk
from trunkline.services.tenant.lifecycle import State
from trunkline.services.tenant.store import Change, Outcome, Tenant, UnknownTenant


@dataclass(frozen=True, slots=True)
class NewTenant:
    """The body of a sign-up."""

    tenant: str
    tier: str
    region: str
    display_name: str | None = None
    admin_email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The body of every step: the version of the tenant that the caller has seen, and a note, if any."""

    expected: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStep(Step):
    """To which tier, and from when on if not from now."""

    tier: str
    effective_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendStep(Step):
    """Why, as a short code."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceStep(Step):
    """How long the tenant is kept."""

    grace_days: Annotated[float, Field(allow_inf_nan=False)] = GRACE / timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteStep(Step):
    """Whether to end the grace period."""

    now: bool = False


AnyStep = Annotated[Step, Body(default_factory=Step)]
"""A body that may be left out, as all of it may."""


def routes(context: Context, desk: Desk) -> APIRouter:
    """The service's routes."""
    router = APIRouter(tags=["tenants"])

    @router.get("/tenant")
    def own(who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> Tenant:
        """The caller's own tenant."""
        return _found(at.tx, who.tenant)

    @router.get("/tenants")
    def all_of_them(
        _who: Annotated[Caller, operator],
        at: Annotated[Reading, reading],
        state: State | None = None,
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[Tenant]:
        """All tenants, by name."""
        (after,) = decode_cursor(cursor, tuple[str]) if cursor else ("",)
        found = store.listed(at.tx, state=state, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.tenant,))

    @router.get("/tenants/{tenant}")
    def one(tenant: str, _who: Annotated[Caller, operator], at: Annotated[Reading, reading]) -> Tenant:
        """One tenant."""
        return _found(at.tx, tenant)

    @router.get("/tenants/{tenant}/changes")
    def changes(
        tenant: str,
        _who: Annotated[Caller, operator],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: str | None = None,
    ) -> Page[Change]:
        """What happened to a tenant, in order."""
        _found(at.tx, tenant)
        (after,) = decode_cursor(cursor, tuple[int]) if cursor else (0,)
        found = store.history(at.tx, tenant, after=after, limit=limit + 1)
        return page_of(found, limit, lambda one: (one.version,))

    @router.post("/tenants", status_code=201)
    def create(body: NewTenant, who: Annotated[Caller, operator]) -> Outcome:
        """Sign a tenant up."""
        return _write(
            context,
            lambda tx: desk.create(
                tx,
                body.tenant,
                tier=body.tier,
                region=body.region,
                actor=who.subject,
                display_name=body.display_name,
                admin_email=body.admin_email,
            ),
        )

    _add_steps(router, context, desk)
    _add_end(router, context, desk)
    return router


def _add_steps(router: APIRouter, context: Context, desk: Desk) -> None:
    @router.post("/tenants/{tenant}/activate")
    def activate(tenant: str, body: AnyStep, who: Annotated[Caller, operator]) -> Outcome:
        """Provisioning ended well."""
        return _write(
            context, lambda tx: desk.activate(tx, tenant, actor=who.subject, expected=body.expected)
        )

    @router.post("/tenants/{tenant}/change-tier")
    def change_tier(tenant: str, body: TierStep, who: Annotated[Caller, operator]) -> Outcome:
        """Move an active tenant to another tier."""
        return _write(
            context,
            lambda tx: desk.change_tier(
                tx,
                tenant,
                tier=body.tier,
                effective_at=body.effective_at,
                actor=who.subject,
                expected=body.expected,
            ),
        )

    @router.post("/tenants/{tenant}/suspend")
    def suspend(tenant: str, body: SuspendStep, who: Annotated[Caller, operator]) -> Outcome:
        """Suspend an active tenant, for a reason, which is a short code."""
        return _write(
            context,
            lambda tx: desk.suspend(
                tx, tenant, reason=body.reason, note=body.note, actor=who.subject, expected=body.expected
            ),
        )

    @router.post("/tenants/{tenant}/reactivate")
    def reactivate(tenant: str, body: AnyStep, who: Annotated[Caller, operator]) -> Outcome:
        """Let a suspended tenant work again, or call off its deletion."""
        return _write(
            context,
            lambda tx: desk.reactivate(tx, tenant, note=body.note, actor=who.subject, expected=body.expected),
        )


def _add_end(router: APIRouter, context: Context, desk: Desk) -> None:
    @router.post("/tenants/{tenant}/schedule-deletion")
    def schedule_deletion(
        tenant: str,
        body: Annotated[GraceStep, Body(default_factory=GraceStep)],
        who: Annotated[Caller, operator],
    ) -> Outcome:
        """Delete a tenant after a grace period."""
        return _write(
            context,
            lambda tx: desk.schedule_deletion(
                tx,
                tenant,
                grace=timedelta(days=body.grace_days),
                note=body.note,
                actor=who.subject,
                expected=body.expected,
            ),
        )

    @router.post("/tenants/{tenant}/delete")
    def delete(
        tenant: str,
        body: Annotated[DeleteStep, Body(default_factory=DeleteStep)],
        who: Annotated[Caller, operator],
    ) -> Outcome:
        """Delete a tenant whose grace period is over, or `now`."""
        return _write(
            context,
            lambda tx: desk.delete(tx, tenant, now=body.now, actor=who.subject, expected=body.expected),
        )


def _write(context: Context, work: Callable[[Connection], Outcome]) -> Outcome:
    try:
        with context.store.write() as tx:
            outcome = work(tx)
    except UnknownTenant as error:
        raise Problem(404, str(error)) from error
    context.wake()
    return outcome


def _found(tx: Connection, tenant: str) -> Tenant:
    found = store.find(tx, tenant)
    if found is None:
        raise Problem(404, f"there is no tenant {tenant}")
    return found
