"""A broker in this process, shared by the tests of one module, and a client of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


@pytest.fixture(scope="module")
def thread() -> Iterator[BrokerThread]:
    """The broker; tests keep to topics and groups of their own."""
    with BrokerThread() as broker:
        yield broker


@pytest.fixture
def connect() -> Iterator[Callable[[BrokerThread], ApiDesk]]:
    """Opens connections that are closed with the test."""
    with ExitStack() as opened:

        def connect(broker: BrokerThread) -> ApiDesk:
            return opened.enter_context(closing(ApiDesk(broker.address)))

        yield connect


@pytest.fixture
def desk(thread: BrokerThread, connect: Callable[[BrokerThread], ApiDesk]) -> ApiDesk:
    """A connection of the test's own."""
    return connect(thread)
