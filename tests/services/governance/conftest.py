"""Governance services on stores of each kind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from trunkline.client.store import open_store
from trunkline.services.governance.state import state_digest
from trunkline.testing.governance_desk import START, Governance
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import context_of

Governed = Callable[..., Governance]


@pytest.fixture
def governed(store_url: str, tmp_path: Path) -> Iterator[Governed]:
    """Makes services: `governed(settings={…})`, the first on the store of the test, others on new ones."""
    with ExitStack() as opened:
        numbers = iter(range(100))

        def make(url: str = store_url, **settings: Any) -> Governance:
            given = {f"governance.quarantine.{key}": value for key, value in settings.items()}
            case = Case(service="governance-service", digest=state_digest, settings=given)
            store = opened.enter_context(closing(open_store(url)))
            directory = tmp_path / f"service-{next(numbers)}"
            return Governance(opened.enter_context(context_of(case, store, directory, now=START)))

        yield make


@pytest.fixture
def governance(governed: Governed) -> Governance:
    return governed()
