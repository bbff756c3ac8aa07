"""History, incidents, explanations, deliveries."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Query

from trunkline.services.kit.api import Caller, Page, PageSize, Problem, Reading, caller, page_of, reading
from trunkline.services.kit.api.pages import PAGE_DEFAULT
from trunkline.services.notification import actions, explaining, queries
from trunkline.services.notification.api.common import After, place_of
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.facts import to_us
from trunkline.services.notification.views import (
    DeliveryView,
    DryRun,
    Explanation,
    IncidentView,
    NotificationView,
)

DRY_RUN_DAYS: Final = 7


def add(router: APIRouter, configuration: Configuration) -> None:
    """Add what is read."""
    _add_history(router)
    _add_decisions(router, configuration)
    _add_deliveries(router)


def _add_history(router: APIRouter) -> None:
    @router.get("/notifications")
    def history(
        at: Annotated[Reading, reading],
        who: Annotated[Caller, caller],
        *,
        limit: PageSize = PAGE_DEFAULT,
        after: After = None,
        rule: str | None = None,
        told: bool | None = None,
    ) -> Page[NotificationView]:
        """Notifications, newest first, told or not, each with its deliveries and why."""
        found = queries.history(
            at.tx, who.tenant, limit=limit + 1, after=place_of(after), rule=rule, told=told
        )
        return page_of(found, limit, lambda one: (to_us(one.created_at), one.id))

    @router.get("/notifications/{notification}")
    def one(
        notification: str, at: Annotated[Reading, reading], who: Annotated[Caller, caller]
    ) -> NotificationView:
        """One notification with every attempt."""
        found = queries.notification(at.tx, who.tenant, notification)
        if found is None:
            raise Problem(404, f"there is no notification {notification}")
        return found

    @router.get("/incidents")
    def incidents(
        at: Annotated[Reading, reading],
        who: Annotated[Caller, caller],
        *,
        limit: PageSize = PAGE_DEFAULT,
        after: After = None,
        state: str | None = None,
    ) -> Page[IncidentView]:
        """Incidents, the last changed first."""
        found = queries.incidents(at.tx, who.tenant, limit=limit + 1, after=place_of(after), state=state)
        return page_of(found, limit, lambda one: (to_us(one.changed_at), one.id))


def _add_decisions(router: APIRouter, configuration: Configuration) -> None:
    @router.get("/events/{event}/explanation")
    def explain(
        event: str,
        at: Annotated[Reading, reading],
        who: Annotated[Caller, caller],
        source: str | None = None,
    ) -> Explanation:
        """Why somebody heard of an event, or did not: every rule's word."""
        return explaining.explain(at.tx, configuration, event, tenant=who.tenant, source=source)

    @router.get("/settings/refused")
    def refused(who: Annotated[Caller, caller]) -> dict[str, str]:
        """Settings that cannot be understood; what was in force before them still is."""
        seen = (None, who.tenant)
        return {key: why for (tenant, key), why in configuration.refused.items() if tenant in seen}

    @router.post("/rules/dry-run")
    def dry_run(
        rule: Annotated[dict[str, Any], Body(description="A rule as `config set` takes it.")],
        at: Annotated[Reading, reading],
        who: Annotated[Caller, caller],
        days: Annotated[int, Query(ge=1, le=365)] = DRY_RUN_DAYS,
    ) -> DryRun:
        """What a rule would have done with the events of the last days."""
        since = datetime.now(UTC) - timedelta(days=days)
        return actions.dry_run(at.tx, who.tenant, actions.read_rule("dry-run", rule), since=since)


def _add_deliveries(router: APIRouter) -> None:
    @router.get("/deliveries")
    def deliveries(
        at: Annotated[Reading, reading],
        who: Annotated[Caller, caller],
        *,
        limit: PageSize = PAGE_DEFAULT,
        after: After = None,
        state: str | None = None,
        channel: str | None = None,
    ) -> Page[DeliveryView]:
        """Deliveries, the last changed first; `state=dead` is the dead-letter trail."""
        found = queries.deliveries(
            at.tx, who.tenant, limit=limit + 1, after=place_of(after), state=state, channel=channel
        )
        return page_of(found, limit, lambda one: (to_us(one.changed_at), one.id))

    @router.get("/deliveries/{delivery}")
    def delivery(
        delivery: str, at: Annotated[Reading, reading], who: Annotated[Caller, caller]
    ) -> DeliveryView:
        """One delivery with every attempt."""
        found = queries.delivery(at.tx, who.tenant, delivery)
        if found is None:
            raise Problem(404, f"there is no delivery {delivery}")
        return found
