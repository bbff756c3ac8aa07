"""Fixtures of every suite: brokers as processes of their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from trunkline.testing.processes import BrokerProcess


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A fresh broker that the tests of one module share."""
    with BrokerProcess(tmp_path_factory.mktemp("broker")) as process:
        yield process


@pytest.fixture
def broker_factory(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Starts brokers of the test's own: `broker_factory(data_dir, "--durability", "os")`, both optional."""
    with ExitStack() as running:

        def start(data_dir: Path | None = None, *options: str) -> BrokerProcess:
            return running.enter_context(BrokerProcess(data_dir or tmp_path / "data", *options))

        yield start
