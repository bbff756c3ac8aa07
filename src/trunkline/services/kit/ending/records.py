"""What stands in the two internal topics: that a tenant has ended, and what a service has erased of it.

Values are JSON. Readers ignore members they do not know; a change they would misread raises `format`.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final, Self

import msgspec

from trunkline.catalogue.events.fields import Count, Identifier, Instant, Sha256
from trunkline.catalogue.names import SYSTEM_TENANT, TENANT_PATTERN
from trunkline.codec.record import Encoded, Record

FORMAT: Final = 1


class End(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant has ended. `deletion_id` is the id of its `tenant.deleted.v1`."""

    tenant: str
    deletion_id: Identifier
    deleted_at: Instant
    format: int = FORMAT


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One service has erased what it held of a tenant: so many `rows` of each table, and so many keys.

    `digest` is SHA-256 of everything else but `erased_at`, so that a repeated receipt has the same.
    """

    service: Identifier
    tenant: str
    deletion_id: Identifier
    erased_at: Instant
    rows: dict[str, Count]
    keys_destroyed: Count
    digest: Sha256
    format: int = FORMAT

    @classmethod
    def of(
        cls,
        end: End,
        *,
        service: str,
        erased_at: datetime,
        rows: Mapping[str, int],
        keys_destroyed: int,
    ) -> Self:
        """The receipt of a service for an end."""
        return cls(
            service=service,
            tenant=end.tenant,
            deletion_id=end.deletion_id,
            erased_at=erased_at,
            rows=dict(rows),
            keys_destroyed=keys_destroyed,
            digest=_digest(service, end.tenant, end.deletion_id, rows, keys_destroyed),
        )

    @property
    def is_whole(self) -> bool:
        """Whether it says what its digest was made of."""
        return self.digest == _digest(
            self.service, self.tenant, self.deletion_id, self.rows, self.keys_destroyed
        )


def _digest(service: str, tenant: str, deletion_id: str, rows: Mapping[str, int], keys: int) -> str:
    return sha256(msgspec.json.encode([service, tenant, deletion_id, sorted(rows.items()), keys])).hexdigest()


_ends: Final = msgspec.json.Decoder(End)
_receipts: Final = msgspec.json.Decoder(Receipt)


def encode_end(end: End) -> Encoded:
    """The record to write."""
    return Encoded(end.tenant.encode(), msgspec.json.encode(end), [])


def decode_end(record: Record) -> End | None:
    """What a record says; None for one that is not of this format, or that would end the platform itself."""
    try:
        end = _ends.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return end if end.format == FORMAT and can_end(end.tenant) else None


def encode_receipt(receipt: Receipt) -> Encoded:
    """The record to write."""
    return Encoded(f"{receipt.tenant}/{receipt.service}".encode(), msgspec.json.encode(receipt), [])


def decode_receipt(record: Record) -> Receipt | None:
    """What a record says; None for one that is not of this format, or that contradicts its digest."""
    try:
        receipt = _receipts.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return receipt if receipt.format == FORMAT and receipt.is_whole and can_end(receipt.tenant) else None


def can_end(tenant: str) -> bool:
    """Whether there can be an end of it: `system` is the platform itself."""
    return tenant != SYSTEM_TENANT and TENANT_PATTERN.fullmatch(tenant) is not None
