"""Which events this group has processed: by identity `(tenantid, source, id)`, never by offset.

The content's hash is kept beside the identity. The same identity with other content is no duplicate but a
conflict, which must not be dropped in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

from sqlalchemy import Connection, TextClause, insert, text
from sqlalchemy.exc import IntegrityError

from trunkline.client.handler import Received, RetryLater
from trunkline.client.store.tables import PROCESSED_EVENT

HASH_BYTES: Final = 16

Identity: TypeAlias = tuple[str, str, str]
"""`(tenantid, source, id)`."""

_CONTENT_HEADERS: Final = frozenset({"ce_type", "ce_subject", "ce_time"})
"""Content beside the value. Trace and causation may differ between two sendings of the same event."""

LOOKUP_MAX: Final = 100
"""Identities in one query: as many as one poll returns, and within every database's limit of parameters."""

_REMEMBER: Final = insert(PROCESSED_EVENT)


@dataclass(frozen=True, slots=True)
class Sifted:
    """Events of a batch, in order: never seen, seen before, and those whose identity has other content.

    `digests` holds the content's hash of everything fresh, by identity.
    """

    fresh: list[Received]
    duplicates: list[Received]
    conflicts: list[Received]
    digests: Mapping[Identity, bytes]


def identity_of(received: Received) -> Identity:
    """What makes two events the same."""
    event = received.event
    return (event.tenantid, event.source, event.id)


def content_hash(received: Received) -> bytes:
    """Tells whether two events of one identity say the same: type, subject, time and the data's bytes."""
    record = received.record
    digest = blake2b(record.value or b"", digest_size=HASH_BYTES)
    for name, value in record.headers:
        if name in _CONTENT_HEADERS:
            digest.update(b"\0%s\0%s" % (name.encode(), value or b""))
    return digest.digest()


def sift(tx: Connection, group: str, batch: Sequence[Received]) -> Sifted:
    """Sort a batch into fresh, duplicate and conflicting events; a repetition within the batch counts too."""
    identities = [identity_of(received) for received in batch]
    known = _known(tx, group, identities)
    sifted = Sifted([], [], [], known)
    for identity, received in zip(identities, batch, strict=True):
        digest = content_hash(received)
        before = known.setdefault(identity, digest)
        if before is digest:
            sifted.fresh.append(received)
        elif before == digest:
            sifted.duplicates.append(received)
        else:
            sifted.conflicts.append(received)
    return sifted


def remember(
    tx: Connection, group: str, events: Sequence[Received], digests: Mapping[Identity, bytes]
) -> None:
    """Mark fresh events as processed, in the transaction of their effect.

    Raises `RetryLater` if another transaction has processed one of them since `sift` looked; this one must
    roll back, and finds a duplicate when it is tried again.
    """
    if not events:
        return
    rows = [
        {
            "consumer_group": group,
            "tenantid": received.event.tenantid,
            "source": received.event.source,
            "id": received.event.id,
            "content_hash": digests[identity_of(received)],
        }
        for received in events
    ]
    try:
        tx.execute(_REMEMBER, rows)
    except IntegrityError as error:
        raise RetryLater(f"{group}: another member has just processed one of these events") from error


def _known(tx: Connection, group: str, identities: Sequence[Identity]) -> dict[Identity, bytes]:
    known: dict[Identity, bytes] = {}
    for begin in range(0, len(identities), LOOKUP_MAX):
        part = identities[begin : begin + LOOKUP_MAX]
        parameters = {"consumer_group": group}
        for number, (tenantid, source, event_id) in enumerate(part):
            parameters[f"t{number}"] = tenantid
            parameters[f"s{number}"] = source
            parameters[f"i{number}"] = event_id
        for tenantid, source, event_id, digest in tx.execute(_lookup(len(part)), parameters):
            known[tenantid, source, event_id] = digest
    return known


@lru_cache(LOOKUP_MAX)
def _lookup(number: int) -> TextClause:
    """The rows of so many identities, each found by the whole primary key.

    For `(tenantid, source, id) IN (...)` SQLite would walk through all rows of the group. The cross join
    fixes the order of the loops there; PostgreSQL takes it as any other join.
    """
    identities = ", ".join(f"(:t{row}, :s{row}, :i{row})" for row in range(number))
    return text(
        "SELECT known.tenantid, known.source, known.id, known.content_hash "  # noqa: S608 - only numbers go in
        f"FROM (VALUES {identities}) AS wanted CROSS JOIN processed_event AS known "
        "WHERE known.consumer_group = :consumer_group AND known.tenantid = wanted.column1 "
        "AND known.source = wanted.column2 AND known.id = wanted.column3"
    )
