"""A config service in a store of its own, without a broker, and the means to change things."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from sqlalchemy import select

from trunkline.catalogue.events import Event
from trunkline.catalogue.load import load_catalogue
from trunkline.client.broadcast.entries import FlagRule, Name
from trunkline.client.broadcast.state import State
from trunkline.client.handler import Received
from trunkline.client.outbox import OUTBOX, Outbox
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import Envelope, Record, decode, encode_checked
from trunkline.services.config import book
from trunkline.services.config.changes import Draft, Rules
from trunkline.services.config.desk import ConfigDesk, Submitted
from trunkline.services.config.handler import ConfigHandler
from trunkline.services.config.state import state_digest
from trunkline.services.config.tables import CONFIG
from trunkline.services.kit.ending import ENDING
from trunkline.services.settings.billing import METER, PLAN, QUOTA
from trunkline.services.settings.registry import LEVELS, Definition, Registry
from trunkline.testing.postgres import PostgresServer

START: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPIC: Final = "config.change.events"


class Tariff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting of a service, for the tests."""

    price: int


def _positive(tariff: Tariff, key: str) -> None:
    if tariff.price <= 0:
        raise ValueError(f"{key} gives money away")


REGISTRY: Final = Registry(
    [
        Definition("billing.tariffs.*", Tariff, levels=("global", "tenant"), title="T", check=_positive),
        Definition("query.timeout_ms", int, levels=LEVELS, title="Time-out"),
        Definition("billing.provider", str, levels=("global",), title="Provider"),
        Definition("quality.threshold", int, levels=LEVELS, title="Threshold", self_service=True),
        METER,
        PLAN,
        QUOTA,
        Definition("governance.freeze", bool, levels=("global", "tenant"), title="F", approval=True),
    ]
)


@dataclass(slots=True)
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def name_of(key: str, level: Any = "global", scope: str | None = None, kind: Any = "value") -> Name:
    return Name(kind, level, scope, key)


@dataclass(slots=True)
class Service:
    """The service's parts, and what it has published."""

    store: Store
    desk: ConfigDesk
    rules: Rules
    clock: Clock
    handler: ConfigHandler = field(default_factory=ConfigHandler)
    wakes: list[int] = field(default_factory=list)

    def set(
        self, key: str, value: Any, level: Any = "global", scope: str | None = None, **more: Any
    ) -> Submitted:
        due = more.pop("due", None)
        draft = Draft(name=name_of(key, level, scope), value=value, actor=more.pop("actor", "ana"), **more)
        return self.desk.submit(draft, due=due)

    def unset(
        self, key: str, level: Any = "global", scope: str | None = None, kind: Any = "value"
    ) -> Submitted:
        name = name_of(key, level, scope, kind)
        return self.desk.submit(Draft(name=name, value=msgspec.UNSET, actor="ana", origin="unset"))

    def flag(self, key: str, rule: FlagRule, scope: str | None = None) -> Submitted:
        name = name_of(key, "global" if scope is None else "tenant", scope, "flag")
        return self.desk.submit(Draft(name=name, value=rule, actor="ana"))

    def published(self) -> list[Envelope[Event]]:
        """What is in the outbox, in order."""
        table = OUTBOX_EVENT.c
        query = select(table.aggregatetype, table.aggregateid, table.payload, table.headers).order_by(
            table.position
        )
        with self.store.read() as tx:
            return [
                decode(
                    Record(
                        topic,
                        0,
                        0,
                        0,
                        tenant.encode(),
                        bytes(payload),
                        tuple((k, v.encode()) for k, v in msgspec.json.decode(headers).items()),
                    )
                )
                for topic, tenant, payload, headers in tx.execute(query)
            ]

    def instance(self) -> State:
        """What an instance knows that has read everything."""
        state = State()
        for envelope in self.published():
            state.apply(envelope)
        return state

    def hear(self, *envelopes: Envelope[Event]) -> None:
        """A committed batch from the topic."""
        with self.store.write() as tx:
            self.handler.handle(tx, [received(envelope) for envelope in envelopes])

    def digest(self) -> str:
        with self.store.read() as tx:
            return state_digest(tx)

    def entries(self) -> dict[Name, Any]:
        """What is in force."""
        with self.store.read() as tx:
            return {name: entry.value for name, entry in book.everything(tx).items() if entry.in_force}


def received(envelope: Envelope[Event]) -> Received:
    encoded = encode_checked(envelope)
    record = Record(TOPIC, 0, 0, 0, encoded.key, encoded.value, tuple(encoded.headers))
    return Received(record, decode(record))


@pytest.fixture(scope="session")
def rules() -> Rules:
    """What changes are checked against."""
    catalogue = load_catalogue(None)
    outbox = Outbox(service="config-service", catalogue=catalogue)
    return Rules(catalogue=catalogue, registry=REGISTRY, outbox=outbox)


@pytest.fixture
def new_service(rules: Rules) -> Iterator[Callable[[str], Service]]:
    """Opens a service on the database at a URL; several on one are instances."""
    opened: list[closing[Store]] = []

    def make(url: str) -> Service:
        store = open_store(url)
        opened.append(closing(store))
        for component in (OUTBOX, ENDING, CONFIG):
            migrate(store, component)
        clock, wakes = Clock(), list[int]()
        desk = ConfigDesk(store, rules, wall=clock, wake=lambda: wakes.append(1))
        return Service(store=store, desk=desk, rules=rules, clock=clock, wakes=wakes)

    yield make
    for one in opened:
        with one:
            pass


@pytest.fixture
def service(request: pytest.FixtureRequest, new_service: Callable[[str], Service], tmp_path: Path) -> Service:
    """On SQLite; a test that names both kinds of database runs on each."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return new_service(f"sqlite:///{tmp_path / 'service.db'}")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return new_service(server.create_database())


@pytest.fixture(scope="session")
def name() -> Callable[..., Name]:
    return name_of
