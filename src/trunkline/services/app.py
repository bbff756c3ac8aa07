"""What a service is to whoever runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trunkline.client.handler import Handler
from trunkline.client.store import Component, Store
from trunkline.errors import TrunklineError


class Companion(Protocol):
    """Work beside the consumer, on threads of its own."""

    def start(self) -> None:
        """Begin. Raises a `TrunklineError` when the service must not run at all."""

    def stop(self) -> None:
        """Finish what is due and end. Safe to call twice, and without `start`."""


@dataclass(frozen=True, slots=True)
class App:
    """A service with its store open and migrated: what the consumer calls, and what runs beside it."""

    handler: Handler
    companions: tuple[Companion, ...] = ()


class Build(Protocol):
    """Makes a service's `App`. `on_failure` may be called from any thread when a companion cannot go on."""

    def __call__(
        self, store: Store, data_dir: Path, *, on_failure: Callable[[TrunklineError], None]
    ) -> App: ...


@dataclass(frozen=True, slots=True)
class Runnable:
    """A service that this version can run: its tables and how it is made."""

    component: Component
    build: Build
