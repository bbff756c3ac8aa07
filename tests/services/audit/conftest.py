"""A ledger in a store of its own, and the means to fill it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trunkline.catalogue.events.access import ApiCalled
from trunkline.catalogue.names import EventType, TenantId
from trunkline.client.handler import Received
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec.decode import decode
from trunkline.codec.encode import encode_checked
from trunkline.codec.envelope import Envelope
from trunkline.codec.record import Record
from trunkline.services.audit.checkpoint import CheckpointFiles
from trunkline.services.audit.checkpointer import Checkpointer
from trunkline.services.audit.handler import AuditHandler
from trunkline.services.audit.note import Signer, load_or_create_signer
from trunkline.services.audit.tables import AUDIT_LEDGER
from trunkline.services.audit.verify import Report, verify_store

TOPIC = "security.audit.events"
BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the service works with, and how to fill it."""

    path: Path
    store: Store
    files: CheckpointFiles
    signer: Signer
    handler: AuditHandler

    def record(self, events: Sequence[Received]) -> None:
        """One committed batch."""
        with self.store.write() as tx:
            self.handler.handle(tx, events)

    def checkpoint(self) -> int:
        return Checkpointer(self.store, self.files, self.signer).catch_up()

    def verify(self, tenant: str | None = None) -> Report:
        return verify_store(self.store, self.files, self.signer.verifier, tenant=tenant)


def call(number: int, *, tenant: str = "acme", action: str = "s3:GetObject", actor: str = "ana") -> Received:
    """An API call, as it comes out of the topic at this offset."""
    envelope = Envelope(
        id=f"call-{number}",
        source="/tests",
        type=EventType("access.api_called.v1"),
        tenantid=TenantId(tenant),
        time=BEGIN + timedelta(seconds=number),
        data=ApiCalled(
            actor_type="user",
            actor_id=actor,
            service="s3.amazonaws.com",
            action=action,
            outcome="success",
            read_only=True,
            resource_type="bucket",
            resource_id=f"bucket-{number % 5}",
            detail={"requestParameters": {"bucketName": f"reports-{number}"}},
        ),
        correlationid=f"request-{number // 2}",
    )
    encoded = encode_checked(envelope)
    record = Record(TOPIC, 0, number, 1_700_000_000_000, encoded.key, encoded.value, tuple(encoded.headers))
    return Received(record, decode(record))


def open_ledger(directory: Path, url: str | None = None) -> Ledger:
    """The ledger in this directory, or in a database of its own; empty if there is none yet."""
    path = directory / "audit.db"
    store = open_store(url or f"sqlite:///{path}")
    migrate(store, AUDIT_LEDGER)
    signer = load_or_create_signer(directory / "signing-key.pem")
    return Ledger(path, store, CheckpointFiles(directory / "checkpoints"), signer, AuditHandler())


@pytest.fixture(scope="session")
def api_call() -> Callable[..., Received]:
    return call


@pytest.fixture(scope="session")
def new_ledger() -> Callable[..., Ledger]:
    return open_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(tmp_path)
    yield opened
    opened.store.close()
