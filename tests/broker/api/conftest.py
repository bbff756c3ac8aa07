"""A broker in this process, shared by the tests of one module, and a client of it."""

from collections.abc import Iterator

import pytest

from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


@pytest.fixture(scope="module")
def thread() -> Iterator[BrokerThread]:
    """The broker; tests keep to topics and groups of their own."""
    with BrokerThread() as broker:
        yield broker


@pytest.fixture
def desk(thread: BrokerThread) -> Iterator[ApiDesk]:
    """A connection of the test's own."""
    one = ApiDesk(thread.address)
    yield one
    one.wire.close()
