"""The audit service's effect: every event and every refused record becomes one entry of a tenant's ledger."""

import os
import time
from collections.abc import Callable, Sequence
from hashlib import sha256

from sqlalchemy import Connection

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.handler import Received, Refusal, RetryLater
from trunkline.client.store import parking
from trunkline.codec.identity import derive_id
from trunkline.codec.record import Record
from trunkline.services.audit import ledger
from trunkline.services.audit.entry import (
    ID_CONFLICT,
    UNDECODABLE,
    Entry,
    pack_headers,
    to_us,
    without_content,
)
from trunkline.services.audit.own import SOURCE, sealed
from trunkline.services.kit.ending import erased_among


def unix_us() -> int:
    """Now, in microseconds."""
    return time.time_ns() // 1000


class AuditHandler:
    """A `client.handler.Handler`. `now_us` and `random_bytes` are the clock and the source of salts."""

    def __init__(
        self, *, now_us: Callable[[], int] = unix_us, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._now_us = now_us
        self._random_bytes = random_bytes

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        now_us = self._now_us()
        drafts = [event_entry(received, now_us=now_us) for received in events]
        # The runtime has dropped what its own table knows; the ledger may outlive that table.
        already = ledger.stored(tx, [ledger.identity(draft) for draft in drafts])
        new: list[Entry] = []
        for received, draft in zip(events, drafts, strict=True):
            there = already.get(ledger.identity(draft))
            if there is None:
                new.append(sealed(draft, self._random_bytes))
            elif there != ledger.Content(draft.headers, draft.body):
                refusal = Refusal("id_conflict", f"event {draft.id} is in the ledger with other content")
                new += self._refused(tx, received.record, refusal, now_us=now_us)
        _append(tx, new, now_us=now_us)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        now_us = self._now_us()
        _append(tx, self._refused(tx, record, refusal, now_us=now_us), now_us=now_us)

    def _refused(self, tx: Connection, record: Record, refusal: Refusal, *, now_us: int) -> list[Entry]:
        """The record's entry, unless it is there already: a failed replay refuses the same record again."""
        draft = refused_entry(record, refusal, now_us=now_us)
        return [] if ledger.stored(tx, [ledger.identity(draft)]) else [sealed(draft, self._random_bytes)]


class LateHandler(AuditHandler):
    """Records what arrives of tenants that have ended: that it came, and a commitment to what it said.

    Where the end is under a legal hold, entries are still recorded whole.
    """

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        erased = erased_among(tx, {received.event.tenantid for received in events})
        whole = [received for received in events if received.event.tenantid not in erased]
        if whole:
            super().handle(tx, whole)
        now_us = self._now_us()
        drafts = [event_entry(item, now_us=now_us) for item in events if item.event.tenantid in erased]
        already = ledger.stored(tx, [ledger.identity(draft) for draft in drafts])
        # What is there says nothing any more, so nobody can tell whether this would be a conflict.
        new = [draft for draft in drafts if ledger.identity(draft) not in already]
        _append(tx, [without_content(sealed(draft, self._random_bytes)) for draft in new], now_us=now_us)

    def _refused(self, tx: Connection, record: Record, refusal: Refusal, *, now_us: int) -> list[Entry]:
        entries = super()._refused(tx, record, refusal, now_us=now_us)
        tenant = parking.tenant_of(record)
        erased = tenant is not None and bool(erased_among(tx, [tenant]))
        return [without_content(entry) for entry in entries] if erased else entries


def _append(tx: Connection, entries: Sequence[Entry], *, now_us: int) -> None:
    try:
        ledger.append(tx, entries, now_us=now_us)
    except ledger.DamagedLedger as error:
        # No event is at fault: none may be skipped until the store is repaired.
        raise RetryLater(f"{error}; see `trunkline audit verify`") from error


def event_entry(received: Received, *, now_us: int) -> Entry:
    """The entry of an event, not yet sealed and placed."""
    event, record = received.event, received.record
    summary = event.data.summary()
    return Entry(
        tenant=event.tenantid,
        seq=ledger.UNPLACED,
        source=event.source,
        id=event.id,
        type=event.type,
        time_us=to_us(event.time),
        ingested_us=now_us,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        correlation_id=event.correlationid,
        causation_id=event.causationid,
        note=None,
        key=record.key,
        headers=pack_headers(record.headers),
        actor_type=summary.actor_type,
        actor_id=summary.actor_id,
        action=summary.action,
        resource_type=summary.resource_type,
        resource_id=summary.resource_id,
        outcome=summary.outcome,
        body=record.value,
        salt=b"",
        commitment=b"",
    )


def refused_entry(record: Record, refusal: Refusal, *, now_us: int) -> Entry:
    """The entry of a record that could not be handled as an event: the raw bytes, under the tenant `system`.

    It belongs to `system` because nothing such a record says of itself, its tenant included, can be relied
    on.
    """
    kind = ID_CONFLICT if refusal.reason == "id_conflict" else UNDECODABLE
    headers = pack_headers(record.headers)
    return Entry(
        tenant=SYSTEM_TENANT,
        seq=ledger.UNPLACED,
        source=SOURCE,
        id=_refused_id(record, headers),
        type=kind,
        time_us=record.timestamp_ms * 1000 if record.timestamp_ms > 0 else now_us,
        ingested_us=now_us,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        correlation_id=None,
        causation_id=None,
        note=f"{refusal.reason}: {refusal.detail}",
        key=record.key,
        headers=headers,
        actor_type="system",
        actor_id=None,
        action=kind,
        resource_type="record",
        resource_id=f"{record.topic}/{record.partition}/{record.offset}",
        outcome="failure",
        body=record.value,
        salt=b"",
        commitment=b"",
    )


def _refused_id(record: Record, headers: bytes) -> str:
    content = sha256()
    for part in (record.key, headers, record.value):
        content.update(b"-" if part is None else b"%d:" % len(part) + part)
    return derive_id(SOURCE, record.topic, str(record.partition), str(record.offset), content.hexdigest())
