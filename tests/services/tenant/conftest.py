"""The tenant service on a store of its own, with a clock that tests move."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.services.app import Context
from trunkline.services.tenant.desk import Desk
from trunkline.services.tenant.store import Outcome
from trunkline.testing.offices import Clock, office_of, told_ids
from trunkline.testing.suite.harness import UNREACHABLE


@dataclass(frozen=True, slots=True)
class Office:
    """What a test works with."""

    context: Context
    desk: Desk
    clock: Clock

    def do(self, step: str, /, tenant: str = "acme", **arguments: object) -> Outcome:
        """One step in a transaction of its own."""
        with self.context.store.write() as tx:
            outcome: Outcome = getattr(self.desk, step)(tx, tenant, **arguments)
        return outcome

    def create(self, tenant: str = "acme", **arguments: object) -> Outcome:
        return self.do("create", tenant, **{"tier": "starter", "region": "eu", "actor": "ops", **arguments})

    def told(self, tenant: str = "acme") -> list[str]:
        """The types of the events in the outbox, in order."""
        table = OUTBOX_EVENT.c
        query = select(table.type).where(table.aggregateid == tenant).order_by(table.position)
        with self.context.store.read() as tx:
            return list(tx.execute(query).scalars())

    def ids(self) -> list[str]:
        """The ids of the events in the outbox, in order."""
        with self.context.store.read() as tx:
            return told_ids(tx)


NewOffice = Callable[..., Office]


@pytest.fixture
def new_office(store_url: str, tmp_path: Path) -> Iterator[NewOffice]:
    """Opens offices, all on one store unless another URL is given."""
    with ExitStack() as opened:

        def new(*, connection: ConnectionOptions = UNREACHABLE, url: str = store_url) -> Office:
            clock = Clock()
            context = opened.enter_context(
                office_of("tenant-service", url, tmp_path / "keys", connection=connection, clock=clock)
            )
            return Office(context, Desk.of(context), clock)

        yield new


@pytest.fixture
def office(new_office: NewOffice) -> Office:
    return new_office()
