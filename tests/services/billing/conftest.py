"""The billing service on a store, events to give it, and what it has counted and told."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.events.query import QueryCompleted
from trunkline.catalogue.events.tenant import TenantCreated
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import BatchProcessor, Outcome
from trunkline.client.breaker import Breaker
from trunkline.client.broadcast.entries import Resolution
from trunkline.client.broadcast.state import State
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Envelope, Record, encode_checked, new_envelope
from trunkline.services.app import Context
from trunkline.services.billing import queries
from trunkline.services.billing.app import build
from trunkline.services.billing.keeping import Keeper
from trunkline.services.billing.state import state_digest
from trunkline.services.kit.settings import FixedSettings
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import context_of

SERVICE = "billing-service"
BEGIN = datetime(2026, 11, 2, 8, tzinfo=UTC)
FINGERPRINT = "0" * 64


class ChangingSettings:
    """Settings that a test changes."""

    def __init__(self) -> None:
        self._state = State()
        self._versions = 0

    def set(self, key: str, value: object, *, tenant: str | None) -> None:
        self._versions += 1
        event = ConfigValueSet(
            key=key,
            level="global" if tenant is None else "tenant",
            scope=tenant,
            value=value,
            version=self._versions,
            actor_id="test",
        )
        of = TenantId(tenant or "system")
        self._state.apply(new_envelope(event, tenant=of, source="/tests", time=BEGIN))

    def resolve(self, key: str, *, tenant: str | None = None, default: Any = None) -> Resolution:
        return self._now().resolve(key, tenant=tenant, default=default)

    def flag(self, key: str, *, tenant: str, tier: str | None = None, default: bool = False) -> Resolution:
        return self._now().flag(key, tenant=tenant, tier=tier, default=default)

    def under(self, prefix: str) -> Any:
        return self._now().under(prefix)

    def _now(self) -> FixedSettings:
        return FixedSettings(self._state.view(), service=SERVICE)


class Desk:
    """One instance of the service, given records as its consumer gives them."""

    def __init__(self, context: Context, settings: ChangingSettings) -> None:
        self.now = BEGIN + timedelta(days=20)
        self.settings = settings
        self.context = dataclasses.replace(
            context, settings=settings, wall=lambda: self.now, registry=CollectorRegistry()
        )
        self.app = build(self.context)
        (keeper,) = self.app.companions
        assert isinstance(keeper, Keeper)
        self.keeper = keeper
        assert self.app.handler is not None
        self._processor = BatchProcessor(
            context.store, self.app.handler, breaker=Breaker(0), wall_ms=lambda: 1
        )
        self._offsets: Counter[str] = Counter()

    @property
    def store(self) -> Store:
        return self.context.store

    def set(self, key: str, value: object, *, tenant: str | None = None) -> None:
        """Change a setting, and let the service take it in."""
        self.settings.set(key, value, tenant=tenant)
        self.keeper.settings_changed()
        self.keeper.look()

    def feed(
        self, *events: Envelope[Event], arrived: datetime | None = None, size: int = 100
    ) -> list[Outcome]:
        """Apply events in order, in batches of one topic, as published when they happened or `arrived`."""
        outcomes = []
        for batch in _batches(events, size):
            topic = declaration_of(batch[0].data).topic
            begin = self._offsets[topic]
            records = []
            for number, event in enumerate(batch, begin):
                at = arrived or event.time
                encoded = encode_checked(event)
                timestamp_ms = int(at.timestamp() * 1000)
                headers = tuple(encoded.headers)
                records.append(Record(topic, 0, number, timestamp_ms, encoded.key, encoded.value, headers))
            self._offsets[topic] += len(batch)
            lane = Lane(group=SERVICE, cluster_id="test", topic=topic, topic_id="1", partition=0)
            outcomes.append(self._processor.process(lane, records, expected=begin or None))
        return outcomes

    def restarted(self) -> "Desk":
        """Another instance on the same store, which goes on where this one was."""
        other = Desk(self.context, self.settings)
        other._offsets = self._offsets
        other.now = self.now
        return other

    def used(self, tenant: str = "acme", period: str = "2026-11") -> dict[str, str]:
        """What whole meters come to."""
        with self.store.read() as tx:
            found = queries.usage(tx, self.keeper.books(tx), tenant=tenant, period=period)
        return {one.meter: one.quantity for one in found if not one.group}

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of this type in the outbox, in order, each with its id."""
        table = OUTBOX_EVENT.c
        query = select(table.id, table.payload).where(table.type == kind).order_by(table.position)
        with self.store.read() as tx:
            return [{"id": row.id, **msgspec.json.decode(row.payload)} for row in tx.execute(query)]

    def digest(self) -> str:
        with self.store.read() as tx:
            return state_digest(tx)


def _batches(events: Sequence[Envelope[Event]], size: int) -> Iterator[list[Envelope[Event]]]:
    batch: list[Envelope[Event]] = []
    for event in events:
        other = batch and declaration_of(batch[0].data).topic != declaration_of(event.data).topic
        if len(batch) == size or other:
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch


@pytest.fixture
def new_desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Desk]]:
    """Opens the service on a store of SQLite, or on the database at a URL; each call on another one."""
    with ExitStack() as opened:
        numbers = iter(range(1_000))

        def new(url: str | None = None) -> Desk:
            directory = tmp_path / f"desk-{next(numbers)}"
            directory.mkdir()
            store = opened.enter_context(closing(open_store(url or f"sqlite:///{directory / 'billing.db'}")))
            case = Case(service=SERVICE, digest=state_digest)
            context = opened.enter_context(context_of(case, store, directory))
            return Desk(context, ChangingSettings())

        yield new


@pytest.fixture
def desk(new_desk: Callable[..., Desk], store_url: str) -> Desk:
    """The service on an empty store of each kind."""
    return new_desk(store_url)


def query(number: int, *, tenant: str = "acme", at: datetime | None = None, **fields: Any) -> Envelope[Event]:
    """A query that ended well, one second after the one before unless told."""
    given: dict[str, Any] = {
        "query_id": f"q-{number}",
        "user_id": f"u-{number % 3}",
        "engine": "duckdb",
        "sql_fingerprint": FINGERPRINT,
        "duration_us": 1_000,
        "rows_returned": 1,
        "cpu_us": 1_500,
        "bytes_scanned": 1_000,
    }
    return new_envelope(
        QueryCompleted(**given | fields),
        tenant=TenantId(tenant),
        source="/query-engine",
        time=at or BEGIN + timedelta(seconds=number),
        id=f"query-{tenant}-{number}",
    )


def tokens(
    number: int, *, tenant: str = "acme", at: datetime | None = None, extensions: Any = None, **fields: Any
) -> Envelope[Event]:
    """Tokens that one call of a model used."""
    given: dict[str, Any] = {
        "run_id": f"r-{number}",
        "agent_id": "analyst",
        "provider": "in_house",
        "model": f"model-{number % 2}",
        "input_tokens": 100,
        "output_tokens": 10,
    }
    return new_envelope(
        AgentTokensUsed(**given | fields),
        tenant=TenantId(tenant),
        source="/ai-service",
        time=at or BEGIN + timedelta(seconds=number),
        id=f"tokens-{tenant}-{number}",
        extensions=extensions or {},
    )


def life(event: Event, *, number: int = 0, tenant: str = "acme", at: datetime = BEGIN) -> Envelope[Event]:
    """An event of a tenant's life."""
    return new_envelope(
        event, tenant=TenantId(tenant), source="/tenant-service", time=at, id=f"life-{tenant}-{number}"
    )


def created(tier: Any, *, tenant: str = "acme", at: datetime = BEGIN) -> Envelope[Event]:
    """A tenant that signs up."""
    return life(TenantCreated(name=tenant, tier=tier, region="eu", actor_id="u-1"), tenant=tenant, at=at)


class Make:
    """What makes events, as one fixture."""

    BEGIN = BEGIN
    query = staticmethod(query)
    tokens = staticmethod(tokens)
    life = staticmethod(life)
    created = staticmethod(created)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make
