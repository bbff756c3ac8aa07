"""What `trunkline import mlflow` keeps on this machine: what it has seen of each registry."""

import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.catalogue.events import Event
    from trunkline.codec import Envelope
    from trunkline.sources.bad import BadInput
    from trunkline.sources.mlflow_facts import State

ENVIRONMENT: Final = {
    # MLflow reports its use to its makers unless told not to; an import is nobody's business.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # Its own patience with a server that does not answer is many minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


def quieten_mlflow() -> None:
    """Set MLflow's own switches, before it is imported; what the user has set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@dataclass(frozen=True, slots=True)
class StateFile:
    """The state of one registry's imports."""

    path: Path

    @classmethod
    def of(cls, data_dir: Path, *, registry: str, tenant: str) -> "StateFile":
        """Where it is in a data directory."""
        return cls(data_dir / "imports" / f"mlflow-{tenant}-{registry}.json")

    def read(self) -> "State":
        """An empty state before the first import. Raises `InvalidInput` for a file that is none."""
        from trunkline.sources.mlflow_facts import State

        try:
            return msgspec.json.decode(self.path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"{self.path}: not the state of an import ({error}); remove it to import everything again, "
                "but for what has been deleted since the last import"
            ) from error

    def write(self, state: "State") -> None:
        """Replace it, wholly or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)


class Import:
    """One import: its `items`, and `done` for when all of them are in the log."""

    def __init__(self, file: StateFile, *, uri: str, tenant: str, registry: str, all_gone: bool) -> None:
        self._file = file
        self._uri = uri
        self._tenant = tenant
        self._registry = registry
        self._all_gone = all_gone
        self._after: State | None = None

    def items(self) -> "Generator[Envelope[Event] | BadInput, None, None]":
        """What has changed since the last import, once the whole registry has been read.

        Raises as `read_registry` does, and `InvalidInput` for a registry that is not the one of last time.
        """
        from trunkline.sources.bad import BadInput
        from trunkline.sources.mlflow_facts import Fact, changes, is_another_registry
        from trunkline.sources.mlflow_registry import read_registry

        before = self._file.read()
        found = list(read_registry(self._uri))
        facts = [one for one in found if isinstance(one, Fact)]
        if is_another_registry(facts, before) and not self._all_gone:
            raise InvalidInput(
                "no model of the last import is left in this registry; if it is another one, give it its own "
                f"--registry name instead of {self._registry!r}, and if they were deleted, say --all-gone"
            )
        noticed_us = before.noticed_us or time.time_ns() // 1000
        # An import that ends early is gone on with by the next one, which then makes the same events.
        self._file.write(msgspec.structs.replace(before, noticed_us=noticed_us))
        changed = changes(facts, before, tenant=self._tenant, registry=self._registry, noticed_us=noticed_us)
        self._after = changed.state
        yield from (one for one in found if isinstance(one, BadInput))
        yield from changed.events

    def done(self) -> None:
        """Everything is in the log: the next import begins from here."""
        if self._after is not None:
            self._file.write(self._after)
