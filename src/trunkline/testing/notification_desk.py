"""The notification service in one process, for tests: its clock is theirs, and they say when it sends.

desk.set("notification.channels.ops", {"kind": "webhook", ...})
desk.handle(desk.event(PipelineRunFailed(...), at=0))
with desk.sending():
    eventually(lambda: desk.states() == ["sent"])
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, select

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.events.config import ConfigValueSet, ConfigValueUnset
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.broadcast.state import State
from trunkline.client.config import ConnectionOptions
from trunkline.client.handler import Received
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import NO_EXTENSIONS, Record, decode, encode_checked, new_envelope
from trunkline.errors import TrunklineError
from trunkline.services.app import App, Context
from trunkline.services.kit.ending import ENDING
from trunkline.services.kit.keys import KeyRing
from trunkline.services.kit.settings import FixedSettings
from trunkline.services.notification.app import SERVICE, build_with
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.explaining import explain
from trunkline.services.notification.queries import deliveries, history
from trunkline.services.notification.schedule import Schedule
from trunkline.services.notification.sender import SenderOptions
from trunkline.services.notification.state import state_digest
from trunkline.services.notification.tables import DELIVERY
from trunkline.services.notification.vault import Vault, new_signing_secret
from trunkline.services.notification.views import DeliveryView, Explanation, NotificationView

NAME: Final = "notification-service"
START: Final = datetime(2026, 11, 23, 7, tzinfo=UTC)
TENANT: Final = "acme"
FAST: Final = SenderOptions(
    threads=8,
    endpoint_max=6,
    poll_s=0.005,
    lease_s=60.0,
    schedule=Schedule((0.0, 0.02, 0.02)),
)
"""Retries at once, three attempts in all."""


class NotificationDesk:
    """One instance of the service; several may be on one store. A context manager."""

    def __init__(
        self, url: str, directory: Path, *, instance: str = "desk", options: SenderOptions = FAST
    ) -> None:
        self.store: Store = open_store(url)
        migrate(self.store)
        for component in (*SERVICE.components, ENDING):
            migrate(self.store, component)
        directory.mkdir(parents=True, exist_ok=True)
        self.keys = KeyRing.open(f"sqlite:///{directory / 'keys.db'}", directory / "master.key")
        self.directory = directory
        self.now = START
        self.failures: list[TrunklineError] = []
        self.registry = CollectorRegistry()
        self._instance = instance
        self._options = options
        self._state = State()
        self._versions = 0
        self._events = 0
        self.context = self._context()
        self.app = self._built()

    def set(self, key: str, value: Any, *, tenant: str | None = None) -> None:
        """Set a setting, for everybody or for one tenant, unchecked as it arrives from the topic."""
        self._versions += 1
        if tenant is None:
            self._tell(ConfigValueSet(key=key, level="global", value=value, **self._change()))
        else:
            self._tell(ConfigValueSet(key=key, level="tenant", scope=tenant, value=value, **self._change()))

    def unset(self, key: str) -> None:
        """Take a setting of everybody back."""
        self._versions += 1
        self._tell(ConfigValueUnset(key=key, level="global", **self._change()))

    def keep_secret(self, name: str, value: str | None = None, *, owner: str = SYSTEM_TENANT) -> str:
        """Keep a secret; returns it."""
        value = value or new_signing_secret()
        with self.store.write() as tx:
            Vault(self.store, self.keys).keep(tx, owner, name, value, now_us=1)
        return value

    def webhook(self, url: str, name: str = "hook", *, tenant: str | None = None, **more: Any) -> str:
        """A webhook that gets everything; returns its secret."""
        owner = tenant or SYSTEM_TENANT
        secret = self.keep_secret(name, owner=owner)
        self.set("notification.allowed_networks", ["127.0.0.0/8"])
        self.set(
            f"notification.channels.{name}",
            {"kind": "webhook", "url": url, "secrets": [f"secret:{name}"], "takes": {}, **more},
            tenant=tenant,
        )
        return secret

    def event(
        self,
        data: Event,
        *,
        at: float = 0.0,
        tenant: str = TENANT,
        id: str | None = None,  # noqa: A002 - the attribute's name
        extensions: Mapping[str, str] = NO_EXTENSIONS,
    ) -> Received:
        """An event `at` seconds from the start, as it comes from the topic."""
        self._events += 1
        envelope = new_envelope(
            data,
            tenant=TenantId(tenant),
            source="/tests",
            time=START + timedelta(seconds=at),
            id=id or f"event-{self._events}",
            extensions=extensions,
        )
        encoded = encode_checked(envelope)
        topic = declaration_of(data).topic
        record = Record(topic, 0, self._events, 1, encoded.key, encoded.value, tuple(encoded.headers))
        return Received(record, decode(record))

    def handle(self, *events: Received) -> None:
        """Handle these as one batch."""
        assert self.app.handler is not None
        with self.store.write() as tx:
            self.app.handler.handle(tx, events)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """With its sender at work; at the end what is under way is finished."""
        companion = self.app.companions[0]
        companion.start()
        try:
            yield
        finally:
            companion.stop()
            # It can be started once; the next `sending` has one of its own.
            self.app = self._built()
            if self.failures:
                raise self.failures[0]

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return Configuration(self.context.settings)

    def history(self) -> list[NotificationView]:
        """The tenant's notifications, oldest first."""
        with self.store.read() as tx:
            return list(reversed(history(tx, TENANT, limit=1_000)))

    def deliveries(self, channel: str | None = None) -> list[DeliveryView]:
        """The tenant's deliveries."""
        with self.store.read() as tx:
            return deliveries(tx, TENANT, limit=1_000, channel=channel)

    def states(self, channel: str | None = None) -> list[str]:
        """The states of the deliveries, sorted."""
        with self.store.read() as tx:
            query = select(DELIVERY.c.state)
            if channel is not None:
                query = query.where(DELIVERY.c.channel == channel)
            return sorted(tx.scalars(query))

    def explain(self, event: str) -> Explanation:
        """Why."""
        with self.store.read() as tx:
            return explain(tx, self.configuration, event, tenant=TENANT)

    def outcomes(self, event: str) -> dict[str, str]:
        """What became of an event, by rule."""
        return {decision.rule: decision.outcome for decision in self.explain(event).decisions}

    def digest(self) -> str:
        """The state's digest."""
        with self.store.read() as tx:
            return state_digest(tx)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction."""
        with self.store.write() as tx:
            yield tx

    @property
    def now_us(self) -> int:
        """The clock, in microseconds."""
        return int(self.now.timestamp() * 1_000_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self.keys):
            self.store.close()

    def _change(self) -> dict[str, Any]:
        return {"version": self._versions, "actor_id": "tests"}

    def _tell(self, event: Event) -> None:
        scope = getattr(event, "scope", None)
        self._state.apply(
            new_envelope(
                event,
                tenant=TenantId(scope or SYSTEM_TENANT),
                source="/tests",
                time=START,
                id=f"setting-{self._versions}",
            )
        )
        self.context = self._context()
        self.app = self._built()

    def _built(self) -> App:
        # Metrics cannot be registered twice.
        for collector in list(self.registry._collector_to_names):
            self.registry.unregister(collector)
        return build_with(self.context, self._options)

    def _context(self) -> Context:
        catalogue = load_catalogue()
        return Context(
            service=NAME,
            instance=self._instance,
            store=self.store,
            data_dir=self.directory,
            catalogue=catalogue,
            environment=catalogue.environment("development"),
            connection=ConnectionOptions(bootstrap_servers="127.0.0.1:1"),
            settings=FixedSettings(self._state.view(), service=NAME),
            keys=self.keys,
            outbox=None,
            wake=lambda: None,
            on_failure=self.failures.append,
            registry=self.registry,
            wall=lambda: self.now,
        )
