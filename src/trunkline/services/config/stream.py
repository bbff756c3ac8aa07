"""The changes as they come, as server-sent events (the WHATWG's HTML standard, section 9.2)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool

from trunkline.client.store import Store
from trunkline.services.config import book, queries
from trunkline.services.config.views import ChangeView
from trunkline.services.config.visibility import change_for_tenant
from trunkline.services.kit.api.problems import Problem
from trunkline.services.settings.registry import Registry

POLL_SECONDS: Final = 0.25
KEEPALIVE_SECONDS: Final = 15.0
AT_ONCE_MAX: Final = 200
STREAMS_MAX: Final = 100
MEDIA_TYPE: Final = "text/event-stream"


class ChangeStreams:
    """The streams of one instance. `places` of changes are the ids of the events: a client that comes back
    with Last-Event-ID misses nothing."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._open = 0

    def since(self, last_event_id: str | None) -> int:
        """The place to go on behind: the one named, or the newest. Raises `Problem` 422 for nonsense."""
        if last_event_id is None:
            with self._store.read() as tx:
                return book.last_place(tx)
        if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > len(str(2**62)):
            raise Problem(422, f"Last-Event-ID {last_event_id[:40]!r} is not one of this stream")
        return int(last_event_id)

    def check_room(self) -> None:
        """Raises `Problem` 503 while too many streams are open."""
        if self._open >= STREAMS_MAX:
            raise Problem(503, f"{STREAMS_MAX} streams are open already; try again later")

    async def follow(self, place: int, *, tenant: str | None) -> AsyncIterator[bytes]:
        """The changes behind a place, for ever; those that concern a tenant, or all."""
        with self._counted():
            silent = 0.0
            yield b": changes\n\n"
            while True:
                found = await run_in_threadpool(self._after, place, tenant)
                for change in found:
                    place = change.place or place
                    shown = change if tenant is None else change_for_tenant(self._registry, change)
                    if shown is not None:
                        yield event(shown)
                silent = 0.0 if found else silent + POLL_SECONDS
                if silent >= KEEPALIVE_SECONDS:
                    silent = 0.0
                    yield b": still here\n\n"
                if len(found) < AT_ONCE_MAX:
                    await asyncio.sleep(POLL_SECONDS)

    def _after(self, place: int, tenant: str | None) -> list[ChangeView]:
        with self._store.read() as tx:
            return queries.changes_after(tx, place, limit=AT_ONCE_MAX, tenant=tenant)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def event(change: ChangeView) -> bytes:
    """One change as a server-sent event."""
    return b"id: %d\nevent: change\ndata: %s\n\n" % (change.place or 0, msgspec.json.encode(change))
