"""One service as a process runs it: consumer, configuration, relay, API, and what it has beside these."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry

from trunkline.catalogue.events.config import TOPIC as CONFIG_TOPIC
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX
from trunkline.client.broadcast.instance import Broadcast
from trunkline.client.broadcast.options import BroadcastOptions
from trunkline.client.config import ConnectionOptions, ConsumerOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.loop import SIGNAL_LOOK_SECONDS
from trunkline.client.outbox import OUTBOX, Outbox, Relay
from trunkline.client.publisher import Publisher
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store, migrate, open_store
from trunkline.errors import TrunklineError, Unavailable
from trunkline.services.app import App, Companion, Context, Runnable
from trunkline.services.kit.ending import ENDING, Ending
from trunkline.services.kit.keys import KeyRing

if TYPE_CHECKING:
    from fastapi import FastAPI

STOP_SECONDS: Final = 25.0
"""Below the 30 s that Kubernetes gives a pod to end."""

SETTINGS_SECONDS: Final = 10.0
"""How long a service that depends on its settings waits for them; then it goes on with those it had last."""

LOOK_SECONDS: Final = 0.1

ENDS_SECONDS: Final = 10.0
"""How long a service waits until it knows which tenants have ended. What it then takes of one is erased as
soon as it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a service is started with. `kept_config` is the file of the configuration that was known last."""

    name: str
    instance: str
    runnable: Runnable
    catalogue: Catalogue
    environment: Environment
    connection: ConnectionOptions
    store_url: str
    data_dir: Path
    keys_url: str
    master_key: Path
    kept_config: Path
    options: ConsumerOptions
    failures_in_a_row_max: int = FAILURES_IN_A_ROW_MAX
    park_tenants: bool = False
    start_seconds: float | None = None
    stop_seconds: float = STOP_SECONDS
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)


class ServiceProcess:
    """A service with its store open and its parts made. `run` blocks until `stop`; a context manager.

    Opening raises what opening a store raises, `InvalidInput` for settings that cannot be, and what the
    service's own `build` raises.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._failures: list[TrunklineError] = []
        self._stopping = threading.Event()
        self._added = False
        self._opened = ExitStack()
        try:
            self._open()
        except BaseException:
            self._opened.close()
            raise

    def _open(self) -> None:
        setup = self.setup
        self.store = self._opened.enter_context(closing(open_store(setup.store_url)))
        publishes = bool(setup.catalogue.published_by(setup.name))
        _migrate(self.store, setup.runnable, publishes=publishes)
        keys = self._opened.enter_context(closing(KeyRing.open(setup.keys_url, setup.master_key)))
        self._relay = self._new_relay() if publishes else None
        self._app: App | None = None
        self._broadcast = Broadcast(
            service=setup.name,
            instance=setup.instance,
            connection=setup.connection,
            catalogue=setup.catalogue,
            environment=setup.environment.name,
            options=BroadcastOptions(last_known_good=setup.kept_config),
            registry=setup.registry,
            on_change=self._tell_of_settings,
        )
        context = Context(
            service=setup.name,
            instance=setup.instance,
            store=self.store,
            data_dir=setup.data_dir,
            catalogue=setup.catalogue,
            environment=setup.environment,
            connection=setup.connection,
            settings=self._broadcast,
            keys=keys,
            outbox=self._new_outbox() if publishes else None,
            wake=self._wake,
            on_failure=self.fail,
            registry=setup.registry,
        )
        self.app = self._app = setup.runnable.build(context)
        self._ending = Ending(context, self.app)
        self._runtime = self._new_runtime()

    @property
    def topics(self) -> list[str]:
        """What its consumer group shares; what it reads whole, such as the configuration, is not among it."""
        return [topic.name for topic in self.setup.catalogue.shared_by(self.setup.name)]

    def api(self, make: "Callable[[App], FastAPI]") -> "FastAPI":
        """The application that `make` makes of the service's routes."""
        return make(self.app)

    def not_live(self) -> list[str]:
        """Why the process should be restarted, as sentences."""
        return [] if self._runtime is None else list(self._runtime.not_live())

    def not_ready(self) -> list[str]:
        """Why it should get no traffic, as sentences."""
        stale = self._broadcast.unready_reason
        consuming = [] if self._runtime is None else self._runtime.not_ready()
        return [*consuming, *([stale] if stale else []), *self._ending.not_ready(), *self.app.not_ready()]

    def wait_started(self, seconds: float) -> bool:
        """Wait until it does its work: reads its partitions, or knows the configuration."""
        if self._runtime is not None:
            return self._runtime.wait_started(seconds)
        return self._broadcast.wait_current(seconds)

    def run(self, beside: Sequence[Companion] = ()) -> None:
        """Run with these beside it until `stop`. Raises what ended it early."""
        self._await_cluster()
        relay: Sequence[Companion] = [] if self._relay is None else [_Relaying(self._relay, self.fail)]
        first = [self._broadcast, *self._ending.companions]
        with companions(first), companions([*relay, *self.app.companions, *beside]):
            if self.app.on_settings is not None:
                # What is configured decides what the first event means; yet a service may start without.
                self._await(self._broadcast.wait_current, SETTINGS_SECONDS)
            self._await(self._ending.wait_current, ENDS_SECONDS)
            if self._runtime is not None:
                self._runtime.run()
            else:
                # Not for ever: a signal that another thread has received would not end the wait.
                while not self._stopping.wait(SIGNAL_LOOK_SECONDS):
                    pass
        if self._failures:
            raise self._failures[0]

    def _await_cluster(self) -> None:
        """Find a cluster that never answers before a dozen threads complain of it.

        Raises `ClusterUnavailable` after the time that it is waited for.
        """
        seconds = self.setup.start_seconds
        if seconds is None:
            return
        admin = Admin(admin_config(self.setup.connection))
        deadline = time.monotonic() + seconds
        while not self._stopping.is_set():
            try:
                admin.describe([CONFIG_TOPIC])
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
            else:
                return

    def _await(self, known: Callable[[float], bool], seconds: float) -> None:
        """Wait until something is known, within a bound, or until it is to stop."""
        deadline = time.monotonic() + seconds
        while not self._stopping.is_set() and time.monotonic() < deadline and not known(LOOK_SECONDS):
            pass

    def stop(self) -> None:
        """End. From any thread or signal handler."""
        self._stopping.set()
        if self._runtime is not None:
            self._runtime.stop()

    def fail(self, error: TrunklineError) -> None:
        """A part cannot go on: end, with this error. From any thread."""
        self._failures.append(error)
        self.stop()

    def __enter__(self) -> "ServiceProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _new_relay(self) -> Relay:
        setup = self.setup
        publisher = Publisher(
            service=setup.name,
            connection=setup.connection,
            catalogue=setup.catalogue,
            registry=setup.registry,
        )
        self._opened.callback(publisher.close, 0)
        return Relay(self.store, publisher, registry=setup.registry)

    def _new_runtime(self) -> ConsumerRuntime | None:
        setup = self.setup
        if self._ending.handler is None:
            return None
        return ConsumerRuntime(
            service=setup.name,
            topics=self.topics,
            handler=self._ending.handler,
            store=self.store,
            connection=setup.connection,
            options=setup.options,
            registry=setup.registry,
            failures_in_a_row_max=setup.failures_in_a_row_max,
            park_tenants=setup.park_tenants,
            start_seconds=setup.start_seconds,
            stop_seconds=setup.stop_seconds,
            on_applied=self._wake_if_added,
        )

    def _new_outbox(self) -> Outbox:
        return Outbox(service=self.setup.name, catalogue=self.setup.catalogue, on_add=self._note_added)

    def _note_added(self) -> None:
        self._added = True

    def _wake_if_added(self) -> None:
        """What a handler emits goes out once its batch is committed, and not when the relay looks next."""
        if self._added:
            self._added = False
            self._wake()

    def _wake(self) -> None:
        if self._relay is not None:
            self._relay.wake()

    def _tell_of_settings(self) -> None:
        if self._app is not None and self._app.on_settings is not None:
            self._app.on_settings()


class _Relaying:
    """The relay as a companion."""

    def __init__(self, relay: Relay, on_failure: Callable[[TrunklineError], None]) -> None:
        self._relay = relay
        self._on_failure = on_failure

    def start(self) -> None:
        self._relay.start(on_failure=self._on_failure)

    def stop(self) -> None:
        self._relay.stop()


@contextmanager
def companions(all_of_them: Sequence[Companion]) -> Iterator[None]:
    """What runs beside the consumer: started before it, stopped after it, in reverse order."""
    try:
        for companion in all_of_them:
            companion.start()
        yield
    finally:
        for companion in reversed(all_of_them):
            companion.stop()


def _migrate(store: Store, runnable: Runnable, *, publishes: bool) -> None:
    migrate(store)
    if publishes:
        migrate(store, OUTBOX)
    for component in (ENDING, *runnable.components):
        migrate(store, component)
