"""Which events this group has processed: by identity `(tenantid, source, id)`, never by offset.

The content's hash is kept beside the identity. The same identity with other content is no duplicate but a
conflict, which must not be dropped in silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import Final, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from trunkline.client.handler import Received, RetryLater

HASH_BYTES: Final = 16

Identity: TypeAlias = tuple[str, str, str]
"""`(tenantid, source, id)`."""

_CONTENT_HEADERS: Final = {name: b"\0%s\0" % name.encode() for name in ("ce_type", "ce_subject", "ce_time")}
"""Content beside the value. Trace and causation may differ between two sendings of the same event."""

LOOKUP_MAX: Final = 100
"""Events in one statement: as many as one poll returns, and within every database's limit of parameters."""

_PLACEHOLDERS: Final = {"qmark": "?", "pyformat": "%s"}
"""By the driver's style. These statements go to it as they are, for they are most of what a batch costs:
SQLAlchemy's own way through several hundred parameters takes longer than the database."""

_OR_FAIL: Final = ""
_UNLESS_KNOWN: Final = " ON CONFLICT DO NOTHING"


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
    content = [record.value or b""]
    for name, value in record.headers:
        if name in _CONTENT_HEADERS:
            content += (_CONTENT_HEADERS[name], value or b"")
    return blake2b(b"".join(content), digest_size=HASH_BYTES).digest()


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


def claim(tx: Connection, group: str, batch: Sequence[Received]) -> bool:
    """Mark events as processed, if none of them has been, and none is in the batch twice.

    False if there is one: the transaction must roll back then, and another `sift` the batch. That takes two
    statements a batch; this takes one, and nearly every batch is all new.
    """
    placeholder = _PLACEHOLDERS[tx.dialect.paramstyle]
    for begin in range(0, len(batch), LOOKUP_MAX):
        part = batch[begin : begin + LOOKUP_MAX]
        parameters: list[str | bytes] = []
        for received in part:
            event = received.event
            parameters += (group, event.tenantid, event.source, event.id, content_hash(received))
        statement = _insert(len(part), placeholder, _UNLESS_KNOWN)
        if tx.exec_driver_sql(statement, tuple(parameters)).rowcount != len(part):
            return False
    return True


def remember(
    tx: Connection, group: str, events: Sequence[Received], digests: Mapping[Identity, bytes]
) -> None:
    """Mark fresh events as processed, in the transaction of their effect.

    Raises `RetryLater` if another transaction has processed one of them since `sift` looked; this one must
    roll back, and finds a duplicate when it is tried again.
    """
    placeholder = _PLACEHOLDERS[tx.dialect.paramstyle]
    for begin in range(0, len(events), LOOKUP_MAX):
        part = events[begin : begin + LOOKUP_MAX]
        parameters: list[str | bytes] = []
        for received in part:
            identity = identity_of(received)
            parameters += (group, *identity, digests[identity])
        try:
            tx.exec_driver_sql(_insert(len(part), placeholder, _OR_FAIL), tuple(parameters))
        except IntegrityError as error:
            raise RetryLater(f"{group}: another member has just processed one of these events") from error


def _known(tx: Connection, group: str, identities: Sequence[Identity]) -> dict[Identity, bytes]:
    placeholder = _PLACEHOLDERS[tx.dialect.paramstyle]
    known: dict[Identity, bytes] = {}
    for begin in range(0, len(identities), LOOKUP_MAX):
        part = identities[begin : begin + LOOKUP_MAX]
        parameters = (*chain.from_iterable(part), group)
        rows = tx.exec_driver_sql(_lookup(len(part), placeholder), parameters)
        known.update({(tenantid, source, event_id): digest for tenantid, source, event_id, digest in rows})
    return known


@lru_cache(4 * LOOKUP_MAX)
def _insert(number: int, placeholder: str, conflict: str) -> str:
    """So many rows with one statement."""
    row = f"({', '.join([placeholder] * 5)})"
    return (
        "INSERT INTO processed_event (consumer_group, tenantid, source, id, content_hash) "  # noqa: S608 - as below
        f"VALUES {', '.join([row] * number)}{conflict}"
    )


@lru_cache(2 * LOOKUP_MAX)
def _lookup(number: int, placeholder: str) -> str:
    """The rows of so many identities, each found by the whole primary key.

    For `(tenantid, source, id) IN (...)` SQLite would walk through all rows of the group. The cross join
    fixes the order of the loops there; PostgreSQL takes it as any other join.
    """
    identity = f"({', '.join([placeholder] * 3)})"
    return (
        "SELECT known.tenantid, known.source, known.id, known.content_hash "  # noqa: S608 - no value goes in
        f"FROM (VALUES {', '.join([identity] * number)}) AS wanted CROSS JOIN processed_event AS known "
        f"WHERE known.consumer_group = {placeholder} AND known.tenantid = wanted.column1 "
        "AND known.source = wanted.column2 AND known.id = wanted.column3"
    )
