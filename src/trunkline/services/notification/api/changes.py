"""Retries, replays, silences."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body

from trunkline.services.app import Context
from trunkline.services.kit.api import Caller, Problem, Reading, caller, reading
from trunkline.services.notification import actions, people, silence_rows
from trunkline.services.notification.api.common import now_us, require_manager
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.views import SilenceView


def add(router: APIRouter, context: Context, configuration: Configuration) -> None:
    """Add what changes deliveries and silences."""
    _add_deliveries(router, context, configuration)
    _add_silences(router, context, configuration)


def _add_deliveries(router: APIRouter, context: Context, configuration: Configuration) -> None:
    @router.post("/deliveries/{delivery}/retry", status_code=202)
    def retry(delivery: str, who: Annotated[Caller, caller]) -> None:
        """Send it now, again and with the same id."""
        require_manager(who)
        with context.store.write() as tx:
            actions.retry(tx, who.tenant, delivery, now_us=now_us(context))

    @router.post("/channels/{channel}/replay", status_code=202)
    def replay(
        channel: str,
        since: datetime,
        who: Annotated[Caller, caller],
        until: datetime | None = None,
        sent_too: bool = False,
    ) -> int:
        """Send what a channel failed to deliver in that time, or all of it; answers how many."""
        require_manager(who)
        end = until or datetime.now(UTC)
        for moment in (since, end):
            if moment.tzinfo is None:
                raise Problem(422, "write times with their offset, such as 2026-11-23T07:00:00Z")
        with context.store.write() as tx:
            again = actions.retry_all(
                tx,
                who.tenant,
                channel=channel,
                since=since,
                until=end,
                sent_too=sent_too,
                now_us=now_us(context),
            )
        if again == 0:
            # Of a channel that was taken away there may be deliveries; of this one there is nothing.
            actions.channel_of(configuration, who.tenant, channel)
        return again


def _add_silences(router: APIRouter, context: Context, configuration: Configuration) -> None:
    @router.get("/silences")
    def silences(at: Annotated[Reading, reading], who: Annotated[Caller, caller]) -> list[SilenceView]:
        """Silences that have not ended."""
        return people.silences(at.tx, who.tenant, since_us=now_us(context))

    @router.post("/silences", status_code=201)
    def add(
        matches: Annotated[dict[str, Any], Body()],
        minutes: Annotated[int, Body(ge=1)],
        comment: Annotated[str, Body()],
        who: Annotated[Caller, caller],
    ) -> SilenceView:
        """Tell nothing of what matches for so long; of an operator's token for every tenant."""
        require_manager(who)
        with context.store.write() as tx:
            silence = actions.add_silence(
                tx,
                who.tenant,
                actions.matches_of(matches, configuration, who.tenant),
                ends=context.wall() + timedelta(minutes=minutes),
                actor=who.subject,
                comment=comment,
                now_us=now_us(context),
            )
        return people.silence_view(silence)

    @router.delete("/silences/{silence}", status_code=204)
    def end(silence: str, who: Annotated[Caller, caller]) -> None:
        """End a silence now."""
        require_manager(who)
        with context.store.write() as tx:
            silence_rows.end(tx, silence, tenant=who.tenant, now_us=now_us(context))
