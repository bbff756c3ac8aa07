"""Services that are called rather than fed, for tests: a context on a store, and a clock that tests move."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import TypeVar

from sqlalchemy import Connection, MetaData, inspect, select

from trunkline.catalogue.events import Event
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import rows
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store, open_store
from trunkline.codec import Envelope
from trunkline.services.app import Context
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import UNREACHABLE, context_of

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
CALLERS = 8

T = TypeVar("T")


@dataclass
class Clock:
    """A service's clock."""

    now: datetime = field(default=BEGIN)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, span: timedelta) -> None:
        """So much time goes by."""
        self.now += span


@contextmanager
def office_of(
    service: str,
    url: str,
    directory: Path,
    *,
    connection: ConnectionOptions = UNREACHABLE,
    clock: Clock | None = None,
) -> Iterator[Context]:
    """What a service is made with, on the store at `url`, migrated; its keys are in `directory`."""
    case = Case(service=service, digest=lambda _tx: "")
    with closing(open_store(url)) as store, context_of(case, store, directory) as context:
        yield replace(context, connection=connection, wall=clock or Clock())


def told(store: Store, tenant: str) -> list[Envelope[Event]]:
    """The tenant's events in the outbox, in order."""
    with store.read() as tx:
        return [event.envelope() for event in rows.heads(tx, [tenant])]


def told_ids(tx: Connection) -> list[str]:
    """The ids of all events in the outbox, in order."""
    return list(tx.execute(select(OUTBOX_EVENT.c.id).order_by(OUTBOX_EVENT.c.position)).scalars())


def at_once(work: Callable[[int], T]) -> list[T]:
    """What `CALLERS` threads get who all call it at the same time, each with its number."""
    barrier = Barrier(CALLERS)

    def call(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(call, range(CALLERS)))


def differences(tx: Connection, declared: MetaData) -> list[str]:
    """What the tables in a store have otherwise than they are declared: columns, keys, what may be null."""
    found = MetaData()
    found.reflect(tx, only=list(declared.tables))
    wrong: list[str] = []
    for name, table in declared.tables.items():
        made = [(column.name, column.nullable) for column in found.tables[name].c]
        if made != [(column.name, column.nullable) for column in table.c]:
            wrong.append(f"columns of {name}: {made}")
        key = inspect(tx).get_pk_constraint(name)["constrained_columns"]
        if key != [column.name for column in table.primary_key]:
            wrong.append(f"key of {name}: {key}")
    return wrong
