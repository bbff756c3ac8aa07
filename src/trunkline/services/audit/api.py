"""The audit ledger over HTTP: search, causal chain, proofs, checkpoints, verification, export, live tail.

A caller sees its tenant's ledger. That reading it is itself worth a record is for the gateway in front: it
knows who asked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, StreamingResponse

from trunkline.catalogue.events.audit_view import Outcome
from trunkline.client.store import Store
from trunkline.services.audit import queries
from trunkline.services.audit.checkpoint import CheckpointFiles, parse_checkpoint
from trunkline.services.audit.export import export_lines
from trunkline.services.audit.ledger import read_tile
from trunkline.services.audit.merkle import consistency_proof
from trunkline.services.audit.note import Verifier, split_note
from trunkline.services.audit.proof import NotCovered, prove
from trunkline.services.audit.tiles import tile_nodes
from trunkline.services.audit.verify import verify_store
from trunkline.services.kit.api import Caller, PageSize, Problem, Reading, caller, reading
from trunkline.services.kit.api.pages import PAGE_DEFAULT

TAIL_POLL_SECONDS: Final = 0.5
TAIL_PAGE: Final = 200
EVENT_STREAM: Final = "text/event-stream"
JSON_LINES: Final = "application/jsonl"

Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Text = Annotated[str | None, Query(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry. `data` is the event's body as JSON where it is JSON, else as text.

    `erased`: the tenant has ended, and what the entry said is gone.
    """

    tenant: str
    seq: int
    id: str
    source: str
    type: str
    time: datetime
    ingested_at: datetime
    actor_type: str | None
    actor_id: str | None
    action: str | None
    resource_type: str | None
    resource_id: str | None
    outcome: str | None
    correlation_id: str | None
    causation_id: str | None
    note: str | None
    topic: str
    partition: int
    offset: int
    headers: dict[str, str | None]
    data: Any
    erased: bool


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first."""

    items: list[AuditEntry]
    next: str | None


@dataclass(frozen=True, slots=True)
class Consistency:
    """That the tree of `first` entries is the beginning of that of `second` (RFC 9162 section 2.1.4)."""

    first: int
    second: int
    path: list[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the ledger."""

    problem: str
    detail: str
    seq: int | None


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether every entry, the tree and the checkpoints fit together, and what does not."""

    ok: bool
    entries: int
    findings: list[Finding]


def routes(store: Store, files: CheckpointFiles, verifier: Verifier) -> APIRouter:
    """The routes; `verifier` has the public key of the service's own checkpoints."""
    router = APIRouter(tags=["audit"])

    @router.get("/entries")
    def search(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        *,
        time_from: Annotated[datetime | None, Query(alias="from")] = None,
        time_to: Annotated[datetime | None, Query(alias="to")] = None,
        actor: Text = None,
        action: Text = None,
        resource: Text = None,
        resource_type: Text = None,
        outcome: Outcome | None = None,
        type_: Annotated[str | None, Query(alias="type")] = None,
        correlation: Text = None,
        text: Text = None,
        limit: PageSize = PAGE_DEFAULT,
        cursor: Cursor = None,
    ) -> AuditPage:
        """Search; all conditions must hold. By `correlation` it is the causal chain of one request."""
        wanted = queries.Search(
            tenant=who.tenant,
            time_from=time_from,
            time_to=time_to,
            actor=actor,
            action=action,
            resource=resource,
            resource_type=resource_type,
            outcome=outcome,
            type=type_,
            correlation_id=correlation,
            text=text,
        )
        page = queries.search(at.tx, wanted, limit=limit, after=cursor)
        return AuditPage([_shown(entry) for entry in page.entries], page.next)

    @router.get("/entries/tail", response_class=StreamingResponse)
    def tail(who: Annotated[Caller, caller]) -> StreamingResponse:
        """New entries as they come: server-sent events, whose id is the entry's place in the ledger."""
        return StreamingResponse(_tail(store, who.tenant), media_type=EVENT_STREAM)

    @router.get("/proof/inclusion/{event_id}")
    def inclusion(
        event_id: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]
    ) -> dict[str, Any]:
        """A proof that the event is in the ledger; `trunkline audit proof --check` checks it."""
        found = queries.find(at.tx, event_id, tenant=who.tenant)
        if not found:
            raise Problem(404, f"event {event_id} is not in the ledger of {who.tenant}")
        try:
            proof = prove(at.tx, found[0], newest=files.newest(who.tenant))
        except NotCovered as error:
            raise Problem(409, str(error)) from error
        built: dict[str, Any] = msgspec.to_builtins(proof)
        return built

    @router.get("/proof/consistency")
    def consistency(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        *,
        first: Annotated[int, Query(ge=1)],
        second: Annotated[int, Query(ge=1)],
    ) -> Consistency:
        """A proof that the ledger of one size is the beginning of that of another; hashes in hexadecimal."""
        size = sum(head.size for head in queries.heads(at.tx, tenant=who.tenant))
        if not first <= second <= size:
            raise Problem(
                422, f"the ledger of {who.tenant} has {size} entries: 1 <= first <= second <= {size}"
            )
        path = consistency_proof(tile_nodes(read_tile(at.tx, who.tenant)), first, second)
        return Consistency(first, second, [node.hex() for node in path])

    @router.get("/checkpoint", response_class=PlainTextResponse)
    def checkpoint(who: Annotated[Caller, caller]) -> str:
        """The newest signed checkpoint, as a C2SP signed note."""
        newest = files.newest(who.tenant)
        if newest is None:
            raise Problem(404, f"the ledger of {who.tenant} has no checkpoint yet")
        parse_checkpoint(split_note(newest)[0])
        return newest.decode()

    @router.get("/checkpoints", response_class=PlainTextResponse)
    def checkpoints(who: Annotated[Caller, caller]) -> str:
        """All of them, oldest first, as the file that `audit verify --offline --checkpoint` takes."""
        return "".join(f"{note.decode()}\n" for note in files.notes(who.tenant))

    @router.get("/verify")
    def verify(who: Annotated[Caller, caller]) -> Verification:
        """Verify the whole ledger of the tenant, now."""
        report = verify_store(store, files, verifier, tenant=who.tenant)
        return Verification(
            report.ok,
            report.entries,
            [Finding(found.problem, found.detail, found.seq) for found in report.findings],
        )

    @router.get("/export", response_class=StreamingResponse)
    def export(who: Annotated[Caller, caller]) -> StreamingResponse:
        """The whole ledger of the tenant as JSON lines that verify anywhere, on one snapshot."""
        return StreamingResponse(_export(store, who.tenant), media_type=JSON_LINES)

    return router


def _export(store: Store, tenant: str) -> Iterator[bytes]:
    with store.read() as tx:
        yield from export_lines(tx, tenant=tenant)


async def _tail(store: Store, tenant: str) -> AsyncIterator[str]:
    """Entries behind those there are now. A comment while nothing comes tells whether the reader is there."""
    after = await to_thread.run_sync(_last_seq, store, tenant)
    while True:
        found = await to_thread.run_sync(_behind, store, tenant, after)
        for entry in found:
            after = entry.seq
            yield f"id: {entry.seq}\nevent: entry\ndata: {msgspec.json.encode(entry).decode()}\n\n"
        if not found:
            yield ": nothing new\n\n"
            await asyncio.sleep(TAIL_POLL_SECONDS)


def _last_seq(store: Store, tenant: str) -> int:
    with store.read() as tx:
        return queries.last_seq(tx, tenant)


def _behind(store: Store, tenant: str, after: int) -> list[queries.EntryView]:
    with store.read() as tx:
        return queries.behind(tx, tenant, after=after, limit=TAIL_PAGE)


def _shown(entry: queries.EntryView) -> AuditEntry:
    return AuditEntry(**msgspec.structs.asdict(entry))
