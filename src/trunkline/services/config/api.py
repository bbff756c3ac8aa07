"""The config service over HTTP.

The platform's operator sees and changes everything; a tenant sees what concerns it, and with the scope
`config:write` changes its own level.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

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
from trunkline.services.config.plans import Settled
from trunkline.services.config.queries import Wanted
from trunkline.services.config.stream import MEDIA_TYPE, ChangeStreams
from trunkline.services.config.views import Resolved
from trunkline.services.kit.api import Caller, PageSize, Problem, Reading, caller, operator, reading
from trunkline.services.kit.api.pages import PAGE_DEFAULT, decode_cursor, encode_cursor

WRITE: Final = "config:write"
"""The scope with which a tenant's own level may be changed."""

Overview = Callable[[], list[InstanceView]]
Text = Annotated[str | None, Query(max_length=256)]
Who = Annotated[Caller, caller]
Operator = Annotated[Caller, operator]
At = Annotated[Reading, reading]


def routes(desk: ConfigDesk, streams: ChangeStreams, instances: Overview) -> APIRouter:
    """The routes; `instances` asks the cluster how the instances stand."""
    router = APIRouter(prefix="/config", tags=["config"])
    _reads(router, streams, instances)
    _writes(router, desk)
    _plans(router, desk)
    return router


def _reads(router: APIRouter, streams: ChangeStreams, instances: Overview) -> None:
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
        after: Text = None,
    ) -> EntryPage:
        """What is set, by key; a tenant sees its own level."""
        place = None if after is None else decode_cursor(after, tuple[str, str, str, str])
        wanted = _visible(who, Wanted(kind=kind, level=level, scope=scope, prefix=prefix))
        found = queries.entries(at.tx, wanted, limit=limit + 1, after=place, unset=unset)
        items = found[:limit]
        more = len(found) > limit
        return EntryPage(items, encode_cursor(queries.place_of(items[-1])) if more else None)

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
        return queries.resolve(
            at.tx, key, tenant=_whose(who, tenant), service=service, environment=environment
        )

    @router.get("/flags/{key}")
    def flag(who: Who, at: At, key: str, *, tenant: Text = None, tier: Text = None) -> Resolved:
        """Whether a flag is on for the tenant; null where nobody has set it."""
        of = _whose(who, tenant)
        if of is None:
            raise Problem(422, "say for which tenant")
        return queries.resolve_flag(at.tx, key, tenant=of, tier=tier, now=datetime.now(UTC))

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
        after: Text = None,
    ) -> HistoryPage:
        """Who set what, when and why; the newest first."""
        before = None if after is None else decode_cursor(after, tuple[int])[0]
        wanted = _visible(who, Wanted(kind=kind, level=level, scope=scope, key=key))
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
        wanted = _visible(who, Wanted(level=level, scope=scope))
        end = _moment(until) if until is not None else datetime.now(UTC)
        found = queries.diff(at.tx, wanted, since=_moment(since), until=end, limit=limit + 1)
        return Differences(found[:limit], complete=len(found) <= limit)

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
        name = _writable(desk, who, Name(body.kind, body.level, body.scope, body.key))
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
        after: Text = None,
    ) -> PlanPage:
        """Changes that wait for their time or for approval; with `settled` also what became of others."""
        before = None if after is None else decode_cursor(after, tuple[str])[0]
        tenant = None if who.is_operator else who.tenant
        found = queries.plans(at.tx, tenant=tenant, settled=settled, limit=limit + 1, before=before)
        more = len(found) > limit
        items = found[:limit]
        return PlanPage(items, encode_cursor((items[-1].id,)) if more else None)

    @router.post("/plans/{plan_id}/approve")
    def approve(who: Who, at: At, plan_id: str) -> Settled:
        """Agree to a change that somebody else has proposed."""
        _require_plan(desk, who, at, plan_id)
        return desk.approve(plan_id, actor=who.subject)

    @router.post("/plans/{plan_id}/cancel")
    def cancel(who: Who, at: At, plan_id: str) -> Settled:
        """Take back a change that waits."""
        _require_plan(desk, who, at, plan_id)
        return desk.cancel(plan_id, actor=who.subject)


def _submit(
    desk: ConfigDesk, who: Caller, name: Name, value: Any, body: ValueBody | FlagBody | UnsetBody
) -> Submitted:
    draft = Draft(
        name=_writable(desk, who, name),
        value=value,
        actor=who.subject,
        reason=body.reason,
        expected=body.expected_version,
        origin="unset" if value is msgspec.UNSET else "set",
    )
    return desk.submit(draft, due=None if body.at is None else _moment(body.at))


def _writable(desk: ConfigDesk, who: Caller, name: Name) -> Name:
    """The name, if the caller may change it. Raises `Problem` 403."""
    if who.is_operator:
        return name
    if WRITE not in who.scopes:
        raise Problem(403, f"this needs the scope {WRITE}")
    if name.level != "tenant" or name.scope not in (None, who.tenant):
        raise Problem(403, f"a token of {who.tenant} can change the level tenant of {who.tenant} only")
    definition = desk.rules.registry.find(name.key) if name.kind == "value" else None
    if definition is not None and not definition.self_service:
        raise Problem(403, f"{name.key} is set by an operator only")
    return name._replace(scope=who.tenant)


def _visible(who: Caller, wanted: Wanted) -> Wanted:
    if who.is_operator:
        return wanted
    return Wanted(kind=wanted.kind, level="tenant", scope=who.tenant, key=wanted.key, prefix=wanted.prefix)


def _whose(who: Caller, tenant: str | None) -> str | None:
    if who.is_operator:
        return tenant
    if tenant not in (None, who.tenant):
        raise Problem(403, f"a token of {who.tenant} resolves for {who.tenant}")
    return who.tenant


def _require_plan(desk: ConfigDesk, who: Caller, at: Reading, plan_id: str) -> None:
    """Raise `Problem`: 404 for a plan that the caller cannot see, 403 for one it may not touch."""
    found = queries.plan(at.tx, plan_id)
    mine = found is not None and found.level == "tenant" and found.scope == who.tenant
    if found is None or not (who.is_operator or mine):
        raise Problem(404, f"there is no plan {plan_id[:80]!r}")
    _writable(desk, who, Name(found.kind, found.level, found.scope, found.key))


def _moment(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise Problem(422, f"{time.isoformat()} has no offset; write for instance {time.isoformat()}Z")
    return time
