from collections.abc import Callable

import pytest

from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.testing.growth_desk import Desk
from trunkline.testing.processes import BrokerProcess


def on_new_topic(broker: BrokerProcess, topic: str) -> Desk:
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    Admin(admin_config(connection)).create(topic, partitions=3, replication_factor=1, config={})
    return Desk(connection, topic)


@pytest.fixture
def desk(broker: BrokerProcess, unique: Callable[[str], str]) -> Desk:
    return on_new_topic(broker, unique("grow.this.topic"))


@pytest.fixture
def lonely(broker_factory: Callable[..., BrokerProcess]) -> Desk:
    """On a cluster of its own, whose journal may be spoilt."""
    return on_new_topic(broker_factory(), "grow.this.topic")
