"""The receipts of ended tenants: collected from their topic, told to audit, and who has not answered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from trunkline.catalogue.events.access import ErasureCompleted
from trunkline.catalogue.internal import ERASURE_RECEIPTS
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.log import Log
from trunkline.client.outbox import Outbox
from trunkline.codec.identity import derive_id
from trunkline.codec.record import Record
from trunkline.services.app import Context
from trunkline.services.iam.tables import RECEIPT
from trunkline.services.kit.ending import Receipt, ended
from trunkline.services.kit.ending.ends import from_us, to_us
from trunkline.services.kit.ending.following import Following
from trunkline.services.kit.ending.records import decode_receipt
from trunkline.services.kit.inserting import insert_new

PAGE: Final = 1_000

_T: Final = RECEIPT.c
_log = Log("trunkline.iam")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one service says it has erased."""

    service: str
    erased_at: datetime
    rows: Mapping[str, int]
    records_erased: int
    keys_destroyed: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The end of a tenant: who has answered, and who is `missing`."""

    tenant: str
    deletion_id: str
    deleted_at: datetime
    receipts: list[Answer]
    missing: list[str]


class Collector:
    """A `services.app.Companion`: takes every receipt into the store once, however often it is read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._following = Following(context.connection, ERASURE_RECEIPTS.name, self._heard)

    def start(self) -> None:
        """Begin to read."""
        self._following.start()

    def stop(self) -> None:
        """Read no more. Safe to call twice, and without `start`."""
        self._following.stop()

    @property
    def trouble(self) -> str | None:
        """Why receipts cannot be collected right now, as a sentence."""
        return self._following.trouble

    def _heard(self, record: Record) -> None:
        receipt = decode_receipt(record)
        if receipt is None:
            _log.warning("a record is no receipt of an erasure", topic=record.topic, offset=record.offset)
            return
        context = self._context
        if receipt.service not in context.catalogue.services:
            _log.warning("a receipt is of a service that is not in the contract", offset=record.offset)
            return
        with context.store.read() as tx:
            if _known(tx, receipt):
                return
        assert context.outbox is not None, "iam-service publishes"
        with context.store.write() as tx:
            new = take(tx, receipt, context.outbox)
        if new:
            context.wake()


def take(tx: Connection, receipt: Receipt, outbox: Outbox) -> bool:
    """Keep a receipt and tell audit of it; False where that was done before.

    The event belongs to `system`: the tenant has no events any more.
    """
    row = {
        "tenant_ended": receipt.tenant,
        "deletion_id": receipt.deletion_id,
        "service": receipt.service,
        "erased_us": to_us(receipt.erased_at),
        "rows": msgspec.json.encode(receipt.rows).decode(),
        "keys_destroyed": receipt.keys_destroyed,
        "digest": receipt.digest,
    }
    if not insert_new(tx, RECEIPT, row):
        return False
    event = ErasureCompleted(
        actor_id=receipt.service,
        subject_id=receipt.tenant,
        request_id=receipt.deletion_id,
        services=1,
        records_erased=sum(receipt.rows.values()),
        service=receipt.service,
        keys_destroyed=receipt.keys_destroyed,
        digest=receipt.digest,
    )
    outbox.emit(
        tx,
        event,
        tenant=SYSTEM_TENANT,
        id=derive_id("erasure.receipt", receipt.tenant, receipt.deletion_id, receipt.service),
        time=receipt.erased_at,
        causationid=receipt.deletion_id,
        correlationid=receipt.deletion_id,
    )
    return True


def deletions(
    tx: Connection, *, services: Iterable[str], tenant: str | None = None, after: str = "", limit: int = PAGE
) -> list[Deletion]:
    """Ended tenants behind the one named `after`, by name, each with its answers."""
    expected = sorted(services)
    found = ended(tx, tenant=tenant, after=after, limit=limit)
    answers: dict[str, list[Answer]] = {one.tenant: [] for one in found}
    query = select(RECEIPT).where(_T.tenant_ended.in_(list(answers))).order_by(_T.service)
    for row in tx.execute(query).mappings():
        answers[row["tenant_ended"]].append(_answer(row))
    return [
        Deletion(
            tenant=one.tenant,
            deletion_id=one.deletion_id,
            deleted_at=one.deleted_at,
            receipts=answers[one.tenant],
            missing=[
                name for name in expected if name not in {given.service for given in answers[one.tenant]}
            ],
        )
        for one in found
    ]


def _known(tx: Connection, receipt: Receipt) -> bool:
    this = (
        _T.tenant_ended == receipt.tenant,
        _T.deletion_id == receipt.deletion_id,
        _T.service == receipt.service,
    )
    return tx.execute(select(_T.service).where(*this)).first() is not None


def _answer(row: Any) -> Answer:
    rows = msgspec.json.decode(row["rows"], type=dict[str, int])
    return Answer(
        service=row["service"],
        erased_at=from_us(row["erased_us"]),
        rows=rows,
        records_erased=sum(rows.values()),
        keys_destroyed=row["keys_destroyed"],
        digest=row["digest"],
    )
