"""What one ledger entry holds, and the exact bytes that its leaf hash covers.

Leaf format 1. `u32`, `i32` and `i64` are big-endian; a string is its UTF-8 bytes; an absent field has length
-1.

    leaf       = SHA-256(0x00 || envelope || commitment)
    envelope   = "trunkline-audit-1" || i64 seq, ingested_us, time_us, partition, offset, timestamp_ms
                 || i32 length of each field || the fields one after the other, in this order:
                 tenant, source, id, type, correlation_id, causation_id, topic, note, key, headers
    commitment = SHA-256("trunkline-audit-1" || salt || i32 length of each field || the fields, in this order:
                 actor_type, actor_id, action, resource_type, resource_id, outcome, body)
    headers    = for each header: u32 length of the name, i32 length of the value, name, value

Every column a search can use is covered, and key, headers and body are covered as received. What may hold
personal data (the body, and what was read out of it) is covered only through the salted commitment: when
their tenant ends, body, summary and salt are erased, and the leaf can still be computed from the commitment,
while nobody can guess the body from it. An entry of type `audit.erased` then says so in the same ledger; its
key is that of the entries that were erased.

The leaf covers the position in the ledger and a random salt, so two ledgers built from the same topics have
different leaves; what they share is the record behind each entry (topic, partition, offset, key, headers,
body). A change to this format is a new tag, and this file then documents both.
"""

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Final

import msgspec

FORMAT_TAG: Final = b"trunkline-audit-1"
SALT_BYTES: Final = 16
"""128 random bits make a body unguessable from its commitment."""

UNDECODABLE: Final = "audit.undecodable"
"""The type of an entry for a record that was refused: not an event, or not one its topic may carry."""
ID_CONFLICT: Final = "audit.id_conflict"
"""The type of an entry for a record whose event id was seen before with other content."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LEAF_TAG: Final = b"\x00" + FORMAT_TAG
_ENVELOPE: Final = struct.Struct(">6q10i")
_COMMITMENT: Final = struct.Struct(">7i")
_HEADER: Final = struct.Struct(">Ii")

ERASED: Final = "audit.erased"
"""The type of the service's own entry that says: the content of all entries with this key was erased."""
HOLD_PLACED: Final = "audit.hold_placed"
HOLD_RELEASED: Final = "audit.hold_released"
OWN_TYPES: Final = (UNDECODABLE, ID_CONFLICT, ERASED, HOLD_PLACED, HOLD_RELEASED)
"""The types of entries that are not of an event."""

NO_CONTENT: Final[Mapping[str, str | bytes | None]] = MappingProxyType(
    {
        "actor_type": None,
        "actor_id": None,
        "action": None,
        "resource_type": None,
        "resource_id": None,
        "outcome": None,
        "body": None,
        "salt": b"",
    }
)
"""What the committed columns hold once the content was erased; an entry that has it all has no empty salt."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One row of the ledger. Field order is the order of the store's columns.

    Times are Unix time, `*_us` in microseconds, `*_ms` in milliseconds. `seq` counts from 0 in each tenant.
    `note` says why a refused record is here.
    """

    tenant: str
    seq: int
    source: str
    id: str
    type: str
    time_us: int
    ingested_us: int
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    correlation_id: str | None
    causation_id: str | None
    note: str | None
    key: bytes | None
    headers: bytes
    actor_type: str | None
    actor_id: str | None
    action: str | None
    resource_type: str | None
    resource_id: str | None
    outcome: str | None
    body: bytes | None
    salt: bytes
    commitment: bytes


def is_erased(entry: Entry) -> bool:
    """Whether its content is gone, and only the envelope and the commitment are left."""
    return all(getattr(entry, name) == value for name, value in NO_CONTENT.items())


def without_content(entry: Entry) -> Entry:
    """The entry as it is after an erasure. Its leaf hash is the same."""
    return msgspec.structs.replace(entry, **NO_CONTENT)


def entry_commitment(entry: Entry) -> bytes:
    """What the commitment of this entry must be, computed from its body, summary and salt."""
    texts = (
        entry.actor_type,
        entry.actor_id,
        entry.action,
        entry.resource_type,
        entry.resource_id,
        entry.outcome,
    )
    lengths, parts = _packed(texts, (entry.body,))
    return sha256(b"".join((FORMAT_TAG, entry.salt, _COMMITMENT.pack(*lengths), *parts))).digest()


def entry_leaf(entry: Entry) -> bytes:
    """The leaf hash of this entry, from its envelope and its stored commitment."""
    texts = (
        entry.tenant,
        entry.source,
        entry.id,
        entry.type,
        entry.correlation_id,
        entry.causation_id,
        entry.topic,
        entry.note,
    )
    lengths, parts = _packed(texts, (entry.key, entry.headers))
    envelope = _ENVELOPE.pack(
        entry.seq,
        entry.ingested_us,
        entry.time_us,
        entry.partition,
        entry.offset,
        entry.timestamp_ms,
        *lengths,
    )
    return sha256(b"".join((_LEAF_TAG, envelope, *parts, entry.commitment))).digest()


def pack_headers(headers: tuple[tuple[str, bytes | None], ...]) -> bytes:
    """A record's headers as the ledger stores them: in order, with repeated names and absent values."""
    parts: list[bytes] = []
    for name, value in headers:
        encoded = name.encode()
        parts += (_HEADER.pack(len(encoded), -1 if value is None else len(value)), encoded, value or b"")
    return b"".join(parts)


def unpack_headers(packed: bytes) -> tuple[tuple[str, bytes | None], ...]:
    """The reverse of `pack_headers`. Raises `ValueError` on bytes that it did not write."""
    headers: list[tuple[str, bytes | None]] = []
    at = 0
    while at < len(packed):
        try:
            name_bytes, value_bytes = _HEADER.unpack_from(packed, at)
        except struct.error as error:
            raise ValueError(f"headers are cut off at byte {at}") from error
        name_end = at + _HEADER.size + name_bytes
        end = name_end + max(value_bytes, 0)
        if end > len(packed) or value_bytes < -1:
            raise ValueError(f"headers are damaged at byte {at}")
        name = packed[at + _HEADER.size : name_end].decode()
        headers.append((name, None if value_bytes == -1 else packed[name_end:end]))
        at = end
    return tuple(headers)


def from_us(microseconds: int) -> datetime:
    """The moment of a Unix time in microseconds."""
    return _EPOCH + timedelta(microseconds=microseconds)


def to_us(moment: datetime) -> int:
    """Unix time in microseconds. The moment has a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def _packed(texts: tuple[str | None, ...], raw: tuple[bytes | None, ...]) -> tuple[list[int], list[bytes]]:
    """The lengths of fields, -1 for one that is absent, and the bytes of those that are there.

    As plain loops: verification spends much of its time here.
    """
    lengths: list[int] = []
    parts: list[bytes] = []
    for text in texts:
        if text is None:
            lengths.append(-1)
        else:
            encoded = text.encode()
            lengths.append(len(encoded))
            parts.append(encoded)
    for field in raw:
        if field is None:
            lengths.append(-1)
        else:
            lengths.append(len(field))
            parts.append(field)
    return lengths, parts
