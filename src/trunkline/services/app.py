"""What a service is to whoever runs it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from trunkline.catalogue.model import Catalogue, Environment
from trunkline.client.broadcast.entries import Resolution
from trunkline.client.config import ConnectionOptions
from trunkline.client.handler import Handler
from trunkline.client.outbox.add import Outbox
from trunkline.client.store import Component, Store
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from fastapi import APIRouter

    from trunkline.services.kit.keys import KeyRing


class Companion(Protocol):
    """Work beside the consumer, on threads of its own."""

    def start(self) -> None:
        """Begin. Raises a `TrunklineError` when the service must not run at all."""

    def stop(self) -> None:
        """Finish what is due and end. Safe to call twice, and without `start`."""


class Settings(Protocol):
    """The configuration as this instance knows it; `client.broadcast.Broadcast` is one."""

    def resolve(self, key: str, *, tenant: str | None = None, default: Any = None) -> Resolution:
        """The value of a setting for a tenant, else for this service, its environment, or everybody."""

    def flag(self, key: str, *, tenant: str, tier: str | None = None, default: bool = False) -> Resolution:
        """Whether a feature flag is on for a tenant."""

    def under(self, prefix: str) -> Mapping[tuple[str | None, str], Resolution]:
        """Every value in force whose key begins so, by tenant and key; None for what holds for everybody.

        Values of this service go before those of its environment, and these before global ones.
        """


class Eraser(Protocol):
    """What a service does when a tenant's data has to go."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """Delete or blind everything of the tenant; returns how many rows of which table.

        Runs once for a tenant, in the transaction that also writes its tombstone: afterwards the handler sees
        no event of the tenant again.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a service is made with. `outbox` is None for a service that publishes nothing.

    `wake` tells the relay that something was added, once the transaction has committed; without it the relay
    finds it within half a second. `on_failure` may be called from any thread when a companion cannot go on.
    """

    service: str
    instance: str
    store: Store
    data_dir: Path
    catalogue: Catalogue
    environment: Environment
    connection: ConnectionOptions
    settings: Settings
    keys: "KeyRing"
    outbox: Outbox | None
    wake: Callable[[], None]
    on_failure: Callable[[TrunklineError], None]
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A service put together.

    `handler` gets the events of the topics that its consumer group shares; None for a service without any.
    `late` handles what still arrives of tenants that have ended, for a service that may not drop it. `router`
    makes the routes of its HTTP API, only when that is served. `on_settings` is called after every change of
    the configuration, on a thread of its own; `not_ready` gives reasons, as sentences, why it should get no
    traffic.
    """

    handler: Handler | None = None
    late: Handler | None = None
    companions: tuple[Companion, ...] = ()
    router: "Callable[[], APIRouter] | None" = None
    eraser: Eraser | None = None
    on_settings: Callable[[], None] | None = None
    not_ready: Callable[[], Sequence[str]] = tuple


class Build(Protocol):
    """Makes a service's `App`."""

    def __call__(self, context: Context, /) -> App: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A service that this version can run: its tables and how it is made."""

    components: tuple[Component, ...]
    build: Build
