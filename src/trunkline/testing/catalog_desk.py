"""A catalog on a store, given events without a broker: what its tests and its benchmark share."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.handler import Received
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import Envelope, Record, new_envelope
from trunkline.services.catalog.handler import CatalogHandler
from trunkline.services.catalog.state import state_digest
from trunkline.services.catalog.tables import CATALOG

TENANT: Final = TenantId("acme")
BEGIN: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_RECORD: Final = Record("ml.model.events", 0, 0, 0, None, None, ())


def at(minute: float) -> datetime:
    """The time of the events of this minute."""
    return BEGIN + timedelta(minutes=minute)


def said(
    event: Event,
    minute: float,
    *,
    id: str | None = None,  # noqa: A002 - the attribute's name
    tenant: str = TENANT,
) -> Envelope[Event]:
    """An event of this minute."""
    name = id or f"{type(event).__name__}-{minute}"
    return new_envelope(event, tenant=TenantId(tenant), source="/tests", time=at(minute), id=name)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the service works with."""

    store: Store

    def take(self, *events: Envelope[Event]) -> None:
        """One committed batch."""
        with self.store.write() as tx:
            CatalogHandler().handle(tx, [Received(_RECORD, event) for event in events])

    def take_in_batches(self, events: Sequence[Envelope[Event]], size: int) -> None:
        """All of them, so many at a time."""
        for begin in range(0, len(events), size):
            self.take(*events[begin : begin + size])

    def digest(self) -> str:
        """What the state comes to."""
        with self.read() as tx:
            return state_digest(tx)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with self.store.read() as tx:
            yield tx


class Copies:
    """Empty catalogs on SQLite, as many as one wants: each a copy of one that was migrated once."""

    def __init__(self, directory: Path) -> None:
        self._template = directory / "template.db"
        self._numbers = count()
        with opened(f"sqlite:///{self._template}"):
            pass

    def digest(self, events: Sequence[Envelope[Event]], size: int) -> str:
        """What these events come to, taken so many at a time."""
        path = self._template.with_name(f"{next(self._numbers)}.db")
        shutil.copyfile(self._template, path)
        with closing(open_store(f"sqlite:///{path}")) as store:
            catalog = Catalog(store)
            catalog.take_in_batches(events, size)
            digest = catalog.digest()
        path.unlink()
        return digest


@contextmanager
def opened(url: str) -> Iterator[Catalog]:
    """The catalog in a database."""
    with closing(open_store(url)) as store:
        migrate(store)
        migrate(store, CATALOG)
        yield Catalog(store)
