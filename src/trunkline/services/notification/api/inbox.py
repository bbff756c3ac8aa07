"""The inbox of the caller, and what comes into it as it comes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Body, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from trunkline.services.app import Context
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
from trunkline.services.notification import actions, people
from trunkline.services.notification.api.common import After, now_us
from trunkline.services.notification.views import InboxView

STREAM_POLL_S: Final = 0.5
STREAMS_MAX: Final = 200
"""Open streams of one instance; each looks into the store every `STREAM_POLL_S`."""
STREAM_BATCH: Final = 100
STREAM_OVERLAP: Final = 500
"""Places behind the last one that are looked at again: on PostgreSQL a smaller number may commit later."""
BEAT_EVERY: Final = 30
"""Of so many looks that find nothing, one sends a comment, so that a dead connection is noticed."""


def add(router: APIRouter, context: Context) -> None:
    """Add inbox and stream."""
    streams = 0

    @router.get("/inbox")
    def inbox(
        at: Annotated[Reading, reading],
        who: Annotated[Caller, caller],
        *,
        limit: PageSize = PAGE_DEFAULT,
        after: After = None,
        unread: bool = False,
    ) -> Page[InboxView]:
        """The caller's inbox, newest first, with what the whole tenant sees."""
        before = None if after is None else decode_cursor(after, tuple[int])[0]
        found = people.inbox(at.tx, who.tenant, who.subject, limit=limit + 1, before=before, unread=unread)
        return page_of(found, limit, lambda one: (one.seq,))

    @router.post("/inbox/read")
    def read(items: Annotated[list[int], Body(max_length=1_000)], who: Annotated[Caller, caller]) -> int:
        """Mark as read, by `seq`; answers how many had not been."""
        with context.store.write() as tx:
            return actions.mark_read(tx, who.tenant, who.subject, items, now_us=now_us(context))

    @router.get("/inbox/stream")
    async def stream(request: Request, who: Annotated[Caller, caller]) -> StreamingResponse:
        """What comes into the inbox from now on, as server-sent events; Last-Event-ID goes on behind one."""
        nonlocal streams
        if streams >= STREAMS_MAX:
            raise Problem(
                503, "too many open streams; read /inbox, or try again", headers={"retry-after": "10"}
            )
        last = request.headers.get("last-event-id", "")
        start = (
            int(last) if last.isascii() and last.isdecimal() else await run_in_threadpool(_newest, context)
        )

        async def events() -> AsyncIterator[bytes]:
            nonlocal streams
            streams += 1
            try:
                async for part in events_after(context, tenant=who.tenant, user=who.subject, start=start):
                    yield part
            finally:
                streams -= 1

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


async def events_after(context: Context, *, tenant: str, user: str, start: int) -> AsyncIterator[bytes]:
    """What is in an inbox behind a place, and then what comes, as server-sent events; without an end."""
    last, idle = start, 0
    seen: deque[int] = deque(maxlen=STREAM_OVERLAP)
    while True:
        found = await run_in_threadpool(_since, context, tenant, user, max(start, last - STREAM_OVERLAP))
        fresh = [one for one in found if one.seq not in seen]
        for one in fresh:
            seen.append(one.seq)
            last = max(last, one.seq)
            data = msgspec.json.encode(asdict(one)).decode()
            yield f"id: {one.seq}\nevent: notification\ndata: {data}\n\n".encode()
        idle = 0 if fresh else idle + 1
        if idle % BEAT_EVERY == 1:
            yield b": nothing new\n\n"
        if not fresh:
            await asyncio.sleep(STREAM_POLL_S)


def _since(context: Context, tenant: str, user: str, after: int) -> list[InboxView]:
    with context.store.read() as tx:
        limit = STREAM_BATCH + STREAM_OVERLAP
        return people.inbox_since(tx, tenant, user, after=after, limit=limit)


def _newest(context: Context) -> int:
    with context.store.read() as tx:
        return people.newest_in_inbox(tx)
