"""An instance beside a real cluster: it converges from the topic alone and says when it cannot."""

from collections.abc import Iterator
from typing import Any

import pytest

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.model import Catalogue
from trunkline.client.broadcast.entries import Reason
from trunkline.client.broadcast.instance import Broadcast
from trunkline.client.broadcast.options import BroadcastOptions
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.testing.consuming import eventually

QUICK = BroadcastOptions(check_seconds=0.2, stale_seconds=1.0)


@pytest.fixture
def config_service(connection: ConnectionOptions, catalogue: Catalogue) -> Iterator[Publisher]:
    with Publisher(service="config-service", connection=connection, catalogue=catalogue) as opened:
        yield opened


def set_value(publisher: Publisher, key: str, value: Any, version: int) -> None:
    event = ConfigValueSet(key=key, level="global", value=value, version=version, actor_id="u")
    publisher.publish(event, tenant="system").result(10)


def test_what_was_published_before_and_after_the_start_is_resolved(
    connection: ConnectionOptions, catalogue: Catalogue, config_service: Publisher
) -> None:
    set_value(config_service, "first.limit", 5, 1)
    with Broadcast(
        service="query-engine", instance="1", connection=connection, catalogue=catalogue, options=QUICK
    ) as config:
        assert config.wait_current(10)
        assert config.resolve("first.limit").value == 5
        set_value(config_service, "first.limit", 6, 2)
        eventually(lambda: config.resolve("first.limit").value == 6)
        assert config.resolve("no.such", default=1).reason is Reason.DEFAULT
        assert config.unready_reason is None
    eventually(lambda: config.stale)
    assert config.resolve("first.limit").reason is Reason.STALE
