"""The config service over HTTP.

The platform's operator sees and changes everything; a tenant sees what concerns it, and with the scope
`config:write` changes its own level.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from trunkline.catalogue.events.config import Level
from trunkline.client.broadcast.entries import FlagRule, Kind, Name, digest_text, listed_of
from trunkline.client.broadcast.overview import InstanceView, Standing
from trunkline.services.config import book, queries
from trunkline.services.config.bodies import (
    Differences,
    EntryPage,
    FlagBody,
    HistoryPage,
    InstanceBody,
    PlanPage,
    RollbackBody,
    SnapshotBody,
    UnsetBody,
    ValueBody,
)
from trunkline.services.config.changes import Draft
from trunkline.services.config.desk import ConfigDesk, Submitted
from trunkline.services.config.permissions import require_plan, visible, whose, writable
from trunkline.services.config.plans import Settled
from trunkline.services.config.queries import Wanted
from trunkline.services.config.stream import MEDIA_TYPE, ChangeStreams
from trunkline.services.config.views import Resolved
from trunkline.services.config.visibility import concerns_tenants, resolved_for_tenant
from trunkline.services.kit.api import Caller, PageSize, Problem, Reading, caller, operator, reading
from trunkline.services.kit.api.pages import PAGE_DEFAULT, decode_cursor, encode_cursor
from trunkline.services.settings.registry import Registry

Overview = Callable[[], list[InstanceView]]
Text = Annotated[str | None, Query(max_length=256)]
Who = Annotated[Caller, caller]
Operator = Annotated[Caller, operator]
At = Annotated[Reading, reading]


def routes(desk: ConfigDesk, streams: ChangeStreams, instances: Overview) -> APIRouter:
    """The routes; `instances` asks the cluster how the instances stand."""
    router = APIRouter(tags=["config"])
    _lists(router)
    _reads(router, desk.rules.registry)
    _whole(router, streams, instances)
    _writes(router, desk)
    _plans(router, desk)
    return router


def _lists(router: APIRouter) -> None:
    @router.get("/entries")
    def entries(
        who: Who,
        at: At,
        *,
        kind: Kind | None = None,
        level: Level | None = None,
        scope: Text = None,
        prefix: Text = None,
        unset: bool = False,
        limit: PageSize = PAGE_DEFAULT,
        cursor: Text = None,
    ) -> EntryPage:
        """What is set, by key; a tenant sees its own level."""
        place = None if cursor is None else decode_cursor(cursor, tuple[str, str, str, str])
        wanted = visible(who, Wanted(kind=kind, level=level, scope=scope, prefix=prefix))
        found = queries.entries(at.tx, wanted, limit=limit + 1, after=place, unset=unset)
        items = found[:limit]
        more = len(found) > limit
        return EntryPage(items, encode_cursor(queries.place_of(items[-1])) if more else None)

    @router.get("/history")
    def history(
        who: Who,
        at: At,
        *,
        key: Text = None,
        kind: Kind | None = None,
        level: Level | None = None,
        scope: Text = None,
        limit: PageSize = PAGE_DEFAULT,
        cursor: Text = None,
    ) -> HistoryPage:
        """Who set what, when and why; the newest first."""
        before = None if cursor is None else decode_cursor(cursor, tuple[int])[0]
        wanted = visible(who, Wanted(kind=kind, level=level, scope=scope, key=key))
        found = queries.history(at.tx, wanted, limit=limit + 1, before=before)
        more = len(found) > limit
        items = found[:limit]
        return HistoryPage([change for _, change in items], encode_cursor((items[-1][0],)) if more else None)

    @router.get("/diff")
    def diff(
        who: Who,
        at: At,
        since: datetime,
        *,
        until: datetime | None = None,
        level: Level | None = None,
        scope: Text = None,
        limit: PageSize = PAGE_DEFAULT,
    ) -> Differences:
        """What is set differently at `until`, or now, than at `since`."""
        wanted = visible(who, Wanted(level=level, scope=scope))
        end = _moment(until) if until is not None else datetime.now(UTC)
        found = queries.diff(at.tx, wanted, since=_moment(since), until=end, limit=limit + 1)
        return Differences(found[:limit], complete=len(found) <= limit)


def _reads(router: APIRouter, registry: Registry) -> None:
    @router.get("/resolve")
    def resolve(
        who: Who,
        at: At,
        key: str,
        *,
        tenant: Text = None,
        service: Text = None,
        environment: Text = None,
    ) -> Resolved:
        """The value that holds and the level that won; for a tenant its own, for an operator anybody's."""
        of = whose(who, tenant)
        if not who.is_operator and not concerns_tenants(registry, key):
            raise Problem(403, f"{key} is not for tenants")
        found = queries.resolve(at.tx, key, tenant=of, service=service, environment=environment)
        return found if who.is_operator else resolved_for_tenant(found)

    @router.get("/flags/{key}")
    def flag(who: Who, at: At, key: str, *, tenant: Text = None, tier: Text = None) -> Resolved:
        """Whether a flag is on for the tenant; null where nobody has set it."""
        of = whose(who, tenant)
        if of is None:
            raise Problem(422, "say for which tenant")
        found = queries.resolve_flag(at.tx, key, tenant=of, tier=tier, now=datetime.now(UTC))
        return found if who.is_operator else resolved_for_tenant(found)


def _whole(router: APIRouter, streams: ChangeStreams, instances: Overview) -> None:
    @router.get("/snapshot")
    def snapshot(_who: Operator, at: At) -> SnapshotBody:
        """Everything on record and its digest, which is that of an instance that is up to date."""
        found = book.everything(at.tx)
        listed: list[dict[str, Any]] = [
            msgspec.to_builtins(listed_of(name, found[name])) for name in sorted(found, key=str)
        ]
        return SnapshotBody(digest_text(sum(entry.digest for entry in found.values())), listed)

    @router.get("/instances")
    def instances_(_who: Operator, *, behind: bool = False) -> list[InstanceBody]:
        """How each instance of each service stands; with `behind` only those that are not current."""
        return [
            InstanceBody(
                service=view.service,
                instance=view.instance,
                standing=view.standing,
                behind=view.behind,
                seen_seconds=view.seen_seconds,
                digest=view.digest,
                rejected=view.rejected,
                last_rejected=view.last_rejected,
            )
            for view in instances()
            if not (behind and view.standing is Standing.CURRENT)
        ]

    @router.get("/changes", response_class=StreamingResponse)
    def changes(
        who: Who, last_event_id: Annotated[str | None, Header(max_length=64)] = None
    ) -> StreamingResponse:
        """The changes from now on as server-sent events, or from behind Last-Event-ID."""
        streams.check_room()
        tenant = None if who.is_operator else who.tenant
        return StreamingResponse(
            streams.follow(streams.since(last_event_id), tenant=tenant), media_type=MEDIA_TYPE
        )


def _writes(router: APIRouter, desk: ConfigDesk) -> None:
    @router.put("/values")
    def set_value(who: Who, body: ValueBody) -> Submitted:
        """Set a value, now or at a time."""
        return _submit(desk, who, body.name("value"), body.value, body)

    @router.put("/flags")
    def set_flag(who: Who, body: FlagBody) -> Submitted:
        """Set a flag: for everybody, or for one tenant."""
        rule = FlagRule(
            enabled=body.enabled,
            rollout_percent=body.rollout_percent,
            tiers=body.tiers,
            starts_at=None if body.starts_at is None else _moment(body.starts_at),
        )
        return _submit(desk, who, body.name("flag"), rule, body)

    @router.post("/unset")
    def unset(who: Who, body: UnsetBody) -> Submitted:
        """Take a value or a flag off a level; the wider one shows through."""
        return _submit(desk, who, body.name(body.kind), msgspec.UNSET, body)

    @router.post("/rollback")
    def rollback(who: Who, body: RollbackBody) -> Submitted:
        """Set a name to what it was at a version, as a new version."""
        name = writable(desk, who, Name(body.kind, body.level, body.scope, body.key))
        return desk.rollback(
            name,
            body.to_version,
            actor=who.subject,
            reason=body.reason,
            expected=body.expected_version,
        )


def _plans(router: APIRouter, desk: ConfigDesk) -> None:
    @router.get("/plans")
    def plans(
        who: Who,
        at: At,
        *,
        settled: bool = False,
        limit: PageSize = PAGE_DEFAULT,
        cursor: Text = None,
    ) -> PlanPage:
        """Changes that wait for their time or for approval; with `settled` also what became of others."""
        before = None if cursor is None else decode_cursor(cursor, tuple[str])[0]
        tenant = None if who.is_operator else who.tenant
        found = queries.plans(at.tx, tenant=tenant, settled=settled, limit=limit + 1, before=before)
        more = len(found) > limit
        items = found[:limit]
        return PlanPage(items, encode_cursor((items[-1].id,)) if more else None)

    @router.post("/plans/{plan_id}/approve")
    def approve(who: Who, at: At, plan_id: str) -> Settled:
        """Agree to a change that somebody else has proposed."""
        require_plan(desk, who, at, plan_id)
        return desk.approve(plan_id, actor=who.subject)

    @router.post("/plans/{plan_id}/cancel")
    def cancel(who: Who, at: At, plan_id: str) -> Settled:
        """Take back a change that waits."""
        require_plan(desk, who, at, plan_id)
        return desk.cancel(plan_id, actor=who.subject)


def _submit(
    desk: ConfigDesk, who: Caller, name: Name, value: Any, body: ValueBody | FlagBody | UnsetBody
) -> Submitted:
    draft = Draft(
        name=writable(desk, who, name),
        value=value,
        actor=who.subject,
        reason=body.reason,
        expected=body.expected_version,
        origin="unset" if value is msgspec.UNSET else "set",
    )
    return desk.submit(draft, due=None if body.at is None else _moment(body.at))


def _moment(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise Problem(422, f"{time.isoformat()} has no offset; write for instance {time.isoformat()}Z")
    return time
