"""The IAM service on a store of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trunkline.client.store import Store
from trunkline.services.app import Context
from trunkline.services.iam.desk import Desk
from trunkline.testing.offices import Clock, office_of, told


@dataclass(frozen=True, slots=True)
class Office:
    """What a test works with."""

    context: Context
    desk: Desk
    clock: Clock

    @property
    def store(self) -> Store:
        return self.context.store

    def do(self, work: Callable[..., Any]) -> Any:
        """One transaction: `do(lambda tx, desk: …)`."""
        with self.store.write() as tx:
            return work(tx, self.desk)

    def told(self, tenant: str = "acme") -> list[Any]:
        return told(self.store, tenant)


@pytest.fixture
def office(store_url: str, tmp_path: Path) -> Iterator[Office]:
    clock = Clock()
    with office_of("iam-service", store_url, tmp_path / "keys", clock=clock) as context:
        yield Office(context, Desk.of(context), clock)
