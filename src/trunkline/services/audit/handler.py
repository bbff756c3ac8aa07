"""The audit service's effect: every event and every refused record becomes one entry of a tenant's ledger."""

import os
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from sqlalchemy import Connection

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.handler import Received, Refusal, RetryLater
from trunkline.codec.identity import derive_id
from trunkline.codec.record import Record
from trunkline.services.audit import ledger
from trunkline.services.audit.entry import (
    ID_CONFLICT,
    SALT_BYTES,
    UNDECODABLE,
    Entry,
    entry_commitment,
    pack_headers,
    to_us,
)

SOURCE: Final = "/services/audit"
"""The source of entries that the service makes itself, for records that are no events."""


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
                new.append(self._sealed(draft))
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
        return [] if ledger.stored(tx, [ledger.identity(draft)]) else [self._sealed(draft)]

    def _sealed(self, entry: Entry) -> Entry:
        salted = msgspec.structs.replace(entry, salt=self._random_bytes(SALT_BYTES))
        return msgspec.structs.replace(salted, commitment=entry_commitment(salted))


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
