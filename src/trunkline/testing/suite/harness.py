"""A service on a store, given batches without a broker: all that the runtime does to the store is real."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection, MetaData, func, inspect, select
from sqlalchemy import delete as delete_from

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.broadcast.state import State
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX, Outbox
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store, migrate, open_store, position
from trunkline.client.store.position import Lane
from trunkline.client.store.tables import CONSUMER_POSITION, PROCESSED_EVENT
from trunkline.codec import Envelope, new_envelope
from trunkline.errors import TrunklineError
from trunkline.services import runnable
from trunkline.services.app import App, Context
from trunkline.services.kit.ending import ENDING, End, Ending
from trunkline.services.kit.keys import KeyRing
from trunkline.services.kit.settings import FixedSettings
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.streams import EVENTS, START, STEP, Batch, Part

CLUSTER: Final = "suite"
NOW: Final = START + EVENTS * STEP
"""What the service's clock says: the stream has just ended."""

UNREACHABLE: Final = ConnectionOptions(bootstrap_servers="127.0.0.1:1")


class Emitted(NamedTuple):
    """An event that a service has published, in what it must be the same after a replay."""

    tenant: str
    type: str
    id: str
    headers: str
    payload: bytes


class Harness:
    """One instance of a service. Two on one store are two members of its group."""

    def __init__(self, case: Case, context: Context, app: App) -> None:
        self.case = case
        self.store = store = context.store
        self.app = app
        self._context = context
        self._ending = Ending(context, app)
        assert self._ending.handler is not None
        self._processor = BatchProcessor(store, self._ending.handler, breaker=Breaker(0), wall_ms=lambda: 1)
        self._expected: dict[Part, int | None] = {}

    def apply(self, batch: Batch) -> None:
        """Apply a batch, from where this instance left the partition. Raises `Fenced` for a zombie."""
        lane = self._lane(batch.part)
        if batch.part not in self._expected:
            with self.store.read() as tx:
                self._expected[batch.part] = position.read(tx, [lane])[lane]
        expected = self._expected[batch.part]
        records = [record for record in batch.records if expected is None or record.offset >= expected]
        if not records:
            return
        self._processor.process(lane, records, expected=expected)
        self._expected[batch.part] = records[-1].offset + 1

    def apply_all(self, batches: Iterable[Batch]) -> None:
        """Apply them in order."""
        for batch in batches:
            self.apply(batch)

    def end(self, tenant: str) -> None:
        """The tenant is deleted: its end is announced to the service, which does all but answer."""
        self._ending.end(End(tenant=tenant, deletion_id=f"deletion-of-{tenant}", deleted_at=NOW))
        self._context.keys.destroy([tenant])
        assert self.store.forget_deleted()

    def digest(self) -> str:
        """What the service's state comes to."""
        with self.store.read() as tx:
            return self.case.digest(tx)

    def emitted(self) -> set[Emitted]:
        """What it has published. An event that comes again with the same id and other content is a conflict
        for everybody who has it."""
        table = OUTBOX_EVENT.c
        with self.store.read() as tx:
            if not inspect(tx).has_table("outbox_event"):
                return set()
            columns = (table.aggregateid, table.type, table.id, table.headers, table.payload)
            return {Emitted(*row) for row in tx.execute(select(*columns))}

    def rewind(self) -> None:
        """Forget positions and what was processed: the topics come again, as after a restore."""
        with self.store.write() as tx:
            tx.execute(delete_from(CONSUMER_POSITION))
            tx.execute(delete_from(PROCESSED_EVENT))
        self._expected.clear()

    def rows_of(self, tenant: str) -> dict[str, int]:
        """How many rows of which table have a column that is exactly this tenant."""
        with self.store.read() as tx:
            return {table: number for table, number in _rows_naming(tx, tenant) if number}

    def everything(self) -> bytes:
        """All that it keeps: its files as they are, free pages and logs too, or a server's tables."""
        kept = [file.read_bytes() for file in sorted(self._context.data_dir.rglob("*")) if file.is_file()]
        with self.store.read() as tx:
            if tx.dialect.name != "sqlite":
                kept += _cells(tx)
        return b"\0".join(kept)

    def _lane(self, part: Part) -> Lane:
        topic, partition = part
        return Lane(
            group=self.case.service, cluster_id=CLUSTER, topic=topic, topic_id="1", partition=partition
        )


@contextmanager
def running(case: Case, url: str, directory: Path, *, now: datetime = NOW) -> Iterator[Harness]:
    """A service on the store at `url`, migrated; its keys are in `directory`. Its companions do not run."""
    with ExitStack() as opened:
        store = opened.enter_context(closing(open_store(url)))
        context = opened.enter_context(context_of(case, store, directory, now=now))
        yield Harness(case, context, runnable(case.service).build(context))


@contextmanager
def context_of(case: Case, store: Store, directory: Path, *, now: datetime = NOW) -> Iterator[Context]:
    """What a service is made with, on a store that is migrated here."""
    catalogue = load_catalogue()
    migrate(store)
    if catalogue.published_by(case.service):
        migrate(store, OUTBOX)
    for component in (ENDING, *runnable(case.service).components):
        migrate(store, component)
    directory.mkdir(parents=True, exist_ok=True)
    with closing(KeyRing.open(f"sqlite:///{directory / 'keys.db'}", directory / "master.key")) as keys:
        publishes = bool(catalogue.published_by(case.service))
        yield Context(
            service=case.service,
            instance="suite",
            store=store,
            data_dir=directory,
            catalogue=catalogue,
            environment=catalogue.environment("development"),
            connection=UNREACHABLE,
            settings=FixedSettings(_state(case).view(), service=case.service),
            keys=keys,
            outbox=Outbox(service=case.service, catalogue=catalogue) if publishes else None,
            wake=lambda: None,
            on_failure=_raise,
            wall=lambda: now,
        )


def topics_of(case: Case) -> list[str]:
    """What the service's group shares."""
    return [topic.name for topic in load_catalogue().shared_by(case.service)]


def _state(case: Case) -> State:
    state = State()
    for number, (key, value) in enumerate(case.settings.items(), 1):
        state.apply(_set(key, value, number))
    return state


def _set(key: str, value: object, number: int) -> Envelope[Event]:
    event = ConfigValueSet(key=key, level="global", value=value, version=number, actor_id="suite")
    return new_envelope(event, tenant=SYSTEM_TENANT, source="/suite", time=START, id=f"setting-{number}")


def _rows_naming(tx: Connection, tenant: str) -> Iterator[tuple[str, int]]:
    metadata = MetaData()
    metadata.reflect(tx)
    for table in metadata.sorted_tables:
        columns = [
            column
            for column in table.columns
            if column.name in ("tenant", "tenantid", "tenant_id", "aggregateid")
        ]
        for column in columns:
            number = tx.execute(select(func.count()).select_from(table).where(column == tenant)).scalar_one()
            yield table.name, number


def _cells(tx: Connection) -> Iterator[bytes]:
    metadata = MetaData()
    metadata.reflect(tx)
    for table in metadata.sorted_tables:
        for row in tx.execute(select(table)):
            for cell in row:
                yield bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()


def _raise(error: TrunklineError) -> None:
    raise error
