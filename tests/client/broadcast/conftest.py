"""What the tests of the broadcast share: events of the Config Service, as records of its topic."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import TOPIC
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.codec import Envelope, Record, encode, new_envelope

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def enveloped() -> Callable[..., Envelope[Event]]:
    """An event of a tenant, the system's unless given."""

    def build(event: Event, tenant: str = SYSTEM_TENANT) -> Envelope[Event]:
        return new_envelope(event, tenant=TenantId(tenant), source="/config-service", time=NOW)

    return build


@pytest.fixture(scope="session")
def recorded(enveloped: Callable[..., Envelope[Event]]) -> Callable[..., Record]:
    """The same as a record: `recorded(event, tenant, partition=1, offset=7)`."""

    def build(event: Event, tenant: str = SYSTEM_TENANT, *, partition: int = 0, offset: int = 0) -> Record:
        encoded = encode(enveloped(event, tenant))
        return Record(TOPIC, partition, offset, 1, encoded.key, encoded.value, tuple(encoded.headers))

    return build
