"""The pipeline service on each kind of database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.testing.service_desk import ServiceDesk, service_desk


@pytest.fixture
def service(store_url: str, tmp_path: Path) -> Iterator[ServiceDesk]:
    """Its clock stands still until a test sets it."""
    with service_desk(
        "pipeline-service", store_url, tmp_path / "service", now=datetime(2026, 11, 23, 6, tzinfo=UTC)
    ) as desk:
        yield desk
