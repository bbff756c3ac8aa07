"""Governance over HTTP: bundles for enforcers, policies, decisions, assets, and orders.

A tenant sees its own, and orders with the scope `policy:write`. The platform's operator, and an enforcer (the
scope `policy:enforce` of the tenant `system`), see every tenant's: they name it with `tenant`.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.outbox import Outbox
from trunkline.services.app import Context
from trunkline.services.governance import asset_queries, enforcers, queries
from trunkline.services.governance.asset_queries import AssetView, DecisionView, OverrideView
from trunkline.services.governance.bodies import (
    BundleView,
    EnforcerBody,
    HoldBody,
    PublishBody,
    Received,
    RollbackBody,
    RulesView,
)
from trunkline.services.governance.holds import Held, end_override, hold
from trunkline.services.governance.moments import to_us
from trunkline.services.governance.orders import Activated, Order, publish, revoke, roll_back
from trunkline.services.governance.queries import EnforcerView, PolicyView, Revision
from trunkline.services.governance.rulebook import Rulebook
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Problem,
    Reading,
    caller,
    decode_cursor,
    page_of,
    reading,
)
from trunkline.services.kit.api.pages import PAGE_DEFAULT

WRITE: Final = "policy:write"
"""The scope with which a tenant's policies and quarantines may be changed."""

ENFORCE: Final = "policy:enforce"
"""The scope, of the tenant `system`, with which every tenant's bundle may be read and reported."""

Who = Annotated[Caller, caller]
At = Annotated[Reading, reading]
Tenant = Annotated[str | None, Query(max_length=64, description="For operators and enforcers.")]
Cursor = Annotated[str | None, Query(max_length=1_024, description="`next` of the page before.")]
Text = Annotated[str | None, Query(max_length=512)]


def routes(context: Context, outbox: Outbox, rulebook: Rulebook) -> APIRouter:
    """The routes of the service."""
    router = APIRouter(tags=["governance"])
    _bundles(router)
    _assets(router, rulebook)
    _order_policies(router, context, outbox)
    _order_assets(router, context, outbox, rulebook)
    _enforcers(router, context)
    return router


def _bundles(router: APIRouter) -> None:
    @router.get("/bundle")
    def bundle(who: Who, at: At, *, tenant: Tenant = None) -> BundleView:
        """The bundle in force, whole: what an enforcer begins with, and what repairs it."""
        found = queries.bundle(at.tx, _whose(who, tenant))
        shown = [msgspec.to_builtins(policy) for policy in found.policies]
        return BundleView(tenant=found.tenant, revision=found.revision, digest=found.digest, policies=shown)

    @router.get("/history")
    def history(
        who: Who, at: At, *, tenant: Tenant = None, limit: PageSize = PAGE_DEFAULT, after: Cursor = None
    ) -> Page[Revision]:
        """The bundles that were activated, and why; the newest first."""
        before = None if after is None else decode_cursor(after, tuple[int])[0]
        found = queries.history(at.tx, _whose(who, tenant), limit=limit + 1, before=before)
        return page_of(found, limit, lambda one: [one.revision])

    @router.get("/policies")
    def policies(
        who: Who,
        at: At,
        *,
        tenant: Tenant = None,
        all_versions: bool = False,
        limit: PageSize = PAGE_DEFAULT,
        after: Cursor = None,
    ) -> Page[PolicyView]:
        """The policies in force, or all versions of all."""
        place = None if after is None else decode_cursor(after, tuple[str, int])
        found = queries.policies(
            at.tx, _whose(who, tenant), all_versions=all_versions, limit=limit + 1, after=place
        )
        return page_of(found, limit, lambda one: [one.policy_id, one.version])

    @router.get("/policies/{policy_id}")
    def policy(who: Who, at: At, policy_id: str, *, tenant: Tenant = None) -> list[PolicyView]:
        """All versions of a policy, newest first."""
        return queries.policy(at.tx, _whose(who, tenant), policy_id)


def _assets(router: APIRouter, rulebook: Rulebook) -> None:
    @router.get("/assets")
    def assets(
        who: Who, at: At, *, tenant: Tenant = None, limit: PageSize = PAGE_DEFAULT, after: Cursor = None
    ) -> Page[str]:
        """The assets that something is known of."""
        place = None if after is None else decode_cursor(after, tuple[str])[0]
        found = asset_queries.assets(at.tx, _whose(who, tenant), limit=limit + 1, after=place)
        return page_of(found, limit, lambda one: [one])

    @router.get("/assets/{asset}")
    def asset(who: Who, at: At, asset: str, *, tenant: Tenant = None) -> AssetView:
        """What keeps readers from an asset, what its checks say, and its tags."""
        return asset_queries.asset(at.tx, _whose(who, tenant), asset)

    @router.get("/decisions")
    def decisions(
        who: Who,
        at: At,
        *,
        tenant: Tenant = None,
        asset: Text = None,
        limit: PageSize = PAGE_DEFAULT,
        after: Cursor = None,
    ) -> Page[DecisionView]:
        """Decisions about assets, the newest first."""
        before = None if after is None else decode_cursor(after, tuple[int, str])
        found = asset_queries.decisions(
            at.tx, _whose(who, tenant), asset=asset, limit=limit + 1, before=before
        )
        return page_of(found, limit, lambda one: [to_us(one.decided_at), one.id])

    @router.get("/overrides")
    def overrides(who: Who, at: At, *, tenant: Tenant = None) -> list[OverrideView]:
        """What people want of assets, against their checks."""
        return asset_queries.overrides(at.tx, _whose(who, tenant))

    @router.get("/rules")
    def rules(who: Who, *, tenant: Tenant = None) -> RulesView:
        """When checks quarantine and release, and which values of the configuration are not used."""
        return _rules(rulebook, _whose(who, tenant))


def _order_policies(router: APIRouter, context: Context, outbox: Outbox) -> None:
    @router.post("/policies")
    def publish_policies(who: Who, body: PublishBody, *, tenant: Tenant = None) -> Activated:
        """Publish and activate policies, all in one revision or none."""
        order = _order(context, who, tenant, body.reason)
        drafts = [policy.draft() for policy in body.policies]
        with context.store.write() as tx:
            done = publish(tx, outbox, drafts, order)
        context.wake()
        return done

    @router.delete("/policies/{policy_id}")
    def revoke_policy(who: Who, policy_id: str, *, tenant: Tenant = None, reason: Text = None) -> Activated:
        """Withdraw a policy, in all of its versions."""
        order = _order(context, who, tenant, reason)
        with context.store.write() as tx:
            done = revoke(tx, outbox, policy_id, order)
        context.wake()
        return done

    @router.post("/rollback")
    def roll_policies_back(who: Who, body: RollbackBody, *, tenant: Tenant = None) -> Activated:
        """Let people's policies be what they were in an earlier revision, in a new one."""
        order = _order(context, who, tenant, body.reason)
        with context.store.write() as tx:
            done = roll_back(tx, outbox, body.revision, order)
        context.wake()
        return done


def _order_assets(router: APIRouter, context: Context, outbox: Outbox, rulebook: Rulebook) -> None:
    @router.post("/overrides")
    def override(who: Who, body: HoldBody, *, tenant: Tenant = None) -> Held:
        """Quarantine an asset, or release it, whatever its checks say until then."""
        order = _order(context, who, tenant, body.reason)
        with context.store.write() as tx:
            done = hold(
                tx,
                outbox,
                body.asset,
                body.wanted,
                order,
                until=_moment(body.until),
                exempt_roles=rulebook.of(order.tenant).exempt_roles,
            )
        context.wake()
        return done

    @router.delete("/overrides/{asset}")
    def end(who: Who, asset: str, *, tenant: Tenant = None, reason: Text = None) -> Held:
        """Let the checks of an asset decide again."""
        order = _order(context, who, tenant, reason)
        with context.store.write() as tx:
            exempt_roles = rulebook.of(order.tenant).exempt_roles
            done = end_override(tx, outbox, asset, order, exempt_roles=exempt_roles)
        context.wake()
        return done


def _enforcers(router: APIRouter, context: Context) -> None:
    @router.get("/enforcers")
    def reported(who: Who, at: At, *, tenant: Tenant = None) -> list[EnforcerView]:
        """What enforcers last said of a tenant's bundle; for operators without `tenant`, of all."""
        everybody = _sees_all(who) and tenant is None
        return queries.enforcers(at.tx, None if everybody else _whose(who, tenant))

    @router.post("/enforcers")
    def report(who: Who, body: EnforcerBody) -> Received:
        """An enforcer tells which bundles it has, in place of what it told before."""
        if not _sees_all(who):
            raise Problem(403, f"this needs a token of tenant {SYSTEM_TENANT} with the scope {ENFORCE}")
        reports = [
            enforcers.Report(one.tenant, one.revision, one.digest, one.problem) for one in body.bundles
        ]
        with context.store.write() as tx:
            noted = enforcers.note(
                tx, reports, instance=body.instance, service=body.service, now=context.wall()
            )
        return Received(noted=noted)


def _sees_all(who: Caller) -> bool:
    return who.is_operator or (who.tenant == SYSTEM_TENANT and ENFORCE in who.scopes)


def _whose(who: Caller, tenant: str | None) -> str:
    if tenant is None or tenant == who.tenant:
        return who.tenant
    if not _sees_all(who):
        raise Problem(403, f"the token is of {who.tenant}; what is {tenant}'s is not for it")
    return tenant


def _order(context: Context, who: Caller, tenant: str | None, reason: str | None) -> Order:
    if not who.is_operator and (WRITE not in who.scopes or tenant not in (None, who.tenant)):
        raise Problem(403, f"this needs the scope {WRITE} of the tenant, or the platform's operator")
    if who.is_operator and tenant is None:
        raise Problem(422, "say for which tenant, with `tenant`")
    return Order(tenant=tenant or who.tenant, actor_id=who.subject, now=context.wall(), reason=reason)


def _moment(given: datetime) -> datetime:
    if given.tzinfo is None:
        raise Problem(422, "give times with their offset, such as 2026-12-01T08:00:00Z")
    return given


def _rules(rulebook: Rulebook, tenant: str) -> RulesView:
    rules = rulebook.of(tenant)
    return RulesView(
        tenant=tenant,
        triggers={
            severity: "off" if one.mode == "off" else f"{one.fails} of {one.runs} runs: {one.mode}"
            for severity, one in rules.triggers
        },
        release_passes=rules.release_passes,
        exempt_roles=list(rules.exempt_roles),
        refused=[one.reason for one in rulebook.refusals if one.tenant in (None, tenant)],
    )
