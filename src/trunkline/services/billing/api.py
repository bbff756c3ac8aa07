"""Billing's HTTP API: usage, limits, explanations, months, exports; closing, for the platform's operators."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response
from sqlalchemy import Connection

from trunkline.errors import InvalidInput
from trunkline.services.app import Context
from trunkline.services.billing import closing, explaining, focus, quarantine, queries, records
from trunkline.services.billing.keeping import Keeper
from trunkline.services.billing.months import period_of
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Reading,
    caller,
    decode_cursor,
    encode_cursor,
    operator,
    page_of,
    reading,
)

PAGE: Final = 100
CSV: Final = "text/csv; charset=utf-8; header=present"

Who = Annotated[Caller, caller]
Operator = Annotated[Caller, operator]
At = Annotated[Reading, reading]
Cursor = Annotated[str | None, Query(description="The cursor of the page before.")]
Period = Annotated[str | None, Query(description="A calendar month in UTC, such as 2026-11.")]
OneMonth = Annotated[str | None, Query(description="A calendar month in UTC; the present one by default.")]
Group = Annotated[list[str] | None, Query(description="NAME=VALUE, of the fields that the meter groups by.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedView:
    """A setting of the caller's, or of everybody, that is not in force."""

    key: str
    tenant: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetersView:
    """What is counted, and which settings are not in force."""

    meters: tuple[queries.MeterView, ...]
    refused: tuple[RefusedView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedView:
    """A month that is final."""

    tenant: str
    period: str
    closed_at: datetime
    events: int
    totals: Mapping[str, str]
    amount: str
    currency: str
    digest: str


def routes(context: Context, keeper: Keeper) -> APIRouter:
    """All routes, to be put under /v1. The tenant is the token's."""
    router = APIRouter(tags=["billing"])
    _usage(router, context, keeper)
    _records(router, context)
    _export(router, context, keeper)
    _operators(router, context, keeper)
    return router


def _usage(router: APIRouter, context: Context, keeper: Keeper) -> None:
    @router.get("/usage")
    def usage(
        *,
        who: Who,
        at: At,
        period: Period = None,
        meter: str | None = None,
        limit: PageSize = PAGE,
        cursor: Cursor = None,
    ) -> Page[queries.Usage]:
        """What was used, by month, meter and group."""
        found = queries.usage(
            at.tx,
            keeper.books(at.tx),
            tenant=who.tenant,
            period=period,
            meter=meter,
            after=None if cursor is None else decode_cursor(cursor, tuple[str, str, str]),
            limit=limit + 1,
        )
        return page_of(found, limit, lambda one: one.place)

    @router.get("/usage/standing")
    def standing(who: Who, at: At, period: OneMonth = None) -> list[queries.Standing]:
        """Each meter of a month against its limit."""
        month = period or period_of(context.wall())
        return queries.standing(at.tx, keeper.books(at.tx), tenant=who.tenant, period=month)

    @router.get("/usage/explain")
    def explain(
        *,
        who: Who,
        at: At,
        meter: str,
        period: OneMonth = None,
        group: Group = None,
        limit: PageSize = PAGE,
        cursor: Cursor = None,
    ) -> Page[explaining.Contribution]:
        """The events behind a number, in the order of their arrival. A page may be short and not the last."""
        found = explaining.explain(
            at.tx,
            keeper.books(at.tx),
            tenant=who.tenant,
            meter=meter,
            period=period or period_of(context.wall()),
            group=explaining.parse_group(group or []),
            after=_place(cursor),
            limit=limit,
        )
        return Page(found.contributions, None if found.next is None else encode_cursor([found.next]))

    @router.get("/meters")
    def meters(who: Who, at: At) -> MetersView:
        """What is counted, and which settings are not in force."""
        return _meters(at.tx, keeper, who)


def _records(router: APIRouter, context: Context) -> None:
    @router.get("/periods")
    def periods(who: Who, at: At) -> list[records.Month]:
        """The months with usage, the newest first, with what proration starts from."""
        return records.months(at.tx, service=context.service, tenant=who.tenant)

    @router.get("/corrections")
    def corrections(
        who: Who, at: At, period: Period = None, limit: PageSize = PAGE, cursor: Cursor = None
    ) -> Page[records.Correction]:
        """Usage that came after its month was closed."""
        found = records.corrections(
            at.tx, tenant=who.tenant, period=period, after=_place(cursor), limit=limit + 1
        )
        return page_of(found, limit, lambda one: [one.number])

    @router.get("/quarantine")
    def quarantined(
        who: Who,
        at: At,
        state: quarantine.Verdict | None = None,
        limit: PageSize = PAGE,
        cursor: Cursor = None,
    ) -> Page[records.Doubted]:
        """Usage whose time is not believed."""
        found = records.quarantined(
            at.tx, tenant=who.tenant, state=state, after=_place(cursor), limit=limit + 1
        )
        return page_of(found, limit, lambda one: [one.number])


def _export(router: APIRouter, context: Context, keeper: Keeper) -> None:
    @router.get("/export", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
    def export(who: Who, at: At, response: Response, period: OneMonth = None) -> Response:
        """A month in FOCUS 1.2, as CSV."""
        month = period or period_of(context.wall())
        lines = focus.text(focus.rows(at.tx, keeper.books(at.tx), tenant=who.tenant, period=month))
        name = f"focus-{who.tenant}-{month}.csv"
        headers = {**response.headers, "content-disposition": f'attachment; filename="{name}"'}
        return Response("".join(lines), media_type=CSV, headers=headers)


def _operators(router: APIRouter, context: Context, keeper: Keeper) -> None:
    @router.post("/tenants/{tenant}/periods/{period}/close")
    def close(_who: Operator, tenant: str, period: str) -> ClosedView:
        """Close a month of a tenant; what arrives for it later is a correction."""
        with context.store.write() as tx:
            closed = closing.close(tx, keeper.books(tx), tenant=tenant, period=period, now=context.wall())
        context.wake()
        return ClosedView(**{name: getattr(closed, name) for name in ClosedView.__slots__})

    @router.post("/quarantine/{number}/accept", status_code=204)
    def accept(_who: Operator, number: int) -> None:
        """Count usage whose time was not believed."""
        _write(context, lambda tx: quarantine.accept(tx, keeper.books(tx), number))

    @router.post("/quarantine/{number}/discard", status_code=204)
    def discard(_who: Operator, number: int, note: Annotated[str, Query(max_length=500)]) -> None:
        """Let usage whose time was not believed never count."""
        _write(context, lambda tx: quarantine.discard(tx, number, note=note))


def _write(context: Context, change: Callable[[Connection], object]) -> None:
    with context.store.write() as tx:
        change(tx)
    context.wake()


def _meters(tx: Connection, keeper: Keeper, who: Caller) -> MetersView:
    return MetersView(
        meters=tuple(queries.meters(keeper.books(tx))),
        refused=tuple(
            RefusedView(key=one.key, tenant=one.tenant, reason=one.reason)
            for one in keeper.refused
            if one.tenant in (None, who.tenant)
        ),
    )


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    place = decode_cursor(cursor, tuple[int])[0]
    if not 0 <= place < 1 << 63:
        raise InvalidInput(f"cursor {cursor[:80]!r} is not one of this query")
    return place
