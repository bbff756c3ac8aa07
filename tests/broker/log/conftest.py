"""Logs on a file system in memory."""

import pytest

from trunkline.testing.log_desk import LogDesk


@pytest.fixture
def desk() -> LogDesk:
    return LogDesk()
