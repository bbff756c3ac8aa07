"""The service on a store of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trunkline.testing.notification_desk import NotificationDesk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[NotificationDesk]:
    """On SQLite."""
    with NotificationDesk(f"sqlite:///{tmp_path / 'service.db'}", tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def new_desk(store_url: str, tmp_path: Path) -> Iterator[Callable[..., NotificationDesk]]:
    """Instances on one store, on each kind of database."""
    with ExitStack() as opened:

        def new(**options: Any) -> NotificationDesk:
            return opened.enter_context(NotificationDesk(store_url, tmp_path / "data", **options))

        yield new
