"""Which events this group has processed: by identity `(tenantid, source, id)`, never by offset.

The content's hash is kept beside the identity. The same identity with other content is no duplicate but a
conflict, which must not be dropped in silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

from sqlalchemy import Connection, bindparam, insert, select, tuple_

from trunkline.client.handler import Received
from trunkline.client.store.tables import PROCESSED_EVENT

HASH_BYTES: Final = 16

Identity: TypeAlias = tuple[str, str, str]
"""`(tenantid, source, id)`."""

_CONTENT_HEADERS: Final = frozenset({"ce_type", "ce_subject", "ce_time"})
"""Content beside the value. Trace and causation may differ between two sendings of the same event."""

_T: Final = PROCESSED_EVENT.c
_KNOWN: Final = select(_T.tenantid, _T.source, _T.id, _T.content_hash).where(
    _T.consumer_group == bindparam("group"),
    tuple_(_T.tenantid, _T.source, _T.id).in_(bindparam("identities", expanding=True)),
)
_REMEMBER: Final = insert(PROCESSED_EVENT)


@dataclass(frozen=True, slots=True)
class Sifted:
    """Events of a batch, in order: never seen, seen before, and those whose identity has other content."""

    fresh: list[Received]
    duplicates: list[Received]
    conflicts: list[Received]


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
    sifted = Sifted([], [], [])
    if not batch:
        return sifted
    identities = [identity_of(received) for received in batch]
    rows = tx.execute(_KNOWN, {"group": group, "identities": identities})
    known = {(tenantid, source, event_id): digest for tenantid, source, event_id, digest in rows}
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


def remember(tx: Connection, group: str, fresh: Sequence[Received]) -> None:
    """Mark events as processed, in the transaction of their effect."""
    if not fresh:
        return
    tx.execute(
        _REMEMBER,
        [
            {
                "consumer_group": group,
                "tenantid": received.event.tenantid,
                "source": received.event.source,
                "id": received.event.id,
                "content_hash": content_hash(received),
            }
            for received in fresh
        ],
    )
