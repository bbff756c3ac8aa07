"""Each try tells a denial from a permission, and changes nothing where it is permitted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from trunkline.catalogue.access import Operation
from trunkline.client.config import admin_config
from trunkline.client.kafka import Admin
from trunkline.client.kafka.trying import Tries
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl

TOPIC, OTHER = "trying.first.events", "trying.second.events"
GROUP = "trying-group"
TOPIC_OPERATIONS = (
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.READ,
    Operation.WRITE,
    Operation.CREATE,
    Operation.ALTER,
    Operation.ALTER_CONFIGS,
    Operation.DELETE,
)
GROUP_OPERATIONS = (Operation.DESCRIBE, Operation.READ, Operation.DELETE)
CLUSTER_OPERATIONS = (
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.CREATE,
    Operation.ALTER,
    Operation.ALTER_CONFIGS,
)
Trying: TypeAlias = Callable[[str], Tries]

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    users = Sasl(users={"admin": "secret", "guest": "guest"})
    with KafkaCluster(tmp_path_factory.mktemp("trying"), sasl=users, kafka_home=kafka_home) as cluster:
        admin = Admin(admin_config(cluster.connection("admin")))
        for name in (TOPIC, OTHER):
            admin.create(name, partitions=2, replication_factor=1, config={})
        yield cluster


@pytest.fixture
def tries(guarded: KafkaCluster) -> Trying:
    return lambda user: Tries(admin_config(guarded.connection(user)))


@pytest.mark.parametrize(("user", "may"), [("admin", True), ("guest", False)])
def test_who_may_everything_is_told_from_who_may_nothing(tries: Trying, user: str, may: bool) -> None:
    assert_all(tries(user), may=may)


def assert_all(asked: Tries, *, may: bool) -> None:
    for operation in TOPIC_OPERATIONS:
        assert asked.topics(operation, [TOPIC, OTHER]) == {TOPIC: may, OTHER: may}, operation
    for operation in GROUP_OPERATIONS:
        assert asked.groups(operation, [GROUP], topic=TOPIC) == {GROUP: may}, operation
    for operation in CLUSTER_OPERATIONS:
        assert asked.cluster(operation) is may, operation


def test_nothing_has_changed_where_everything_was_permitted(guarded: KafkaCluster, tries: Trying) -> None:
    admin = Admin(admin_config(guarded.connection("admin")))

    def state() -> object:
        there = admin.describe([TOPIC, OTHER])
        return (
            there,
            admin.offsets([(name, number) for name in there for number in (0, 1)]),
            admin.overrides(TOPIC),
            set(admin.cluster().partitions) - {(name, number) for name in there for number in (0, 1)},
            admin.groups(),
        )

    tries("admin").groups(Operation.DESCRIBE, [GROUP], topic=TOPIC)
    before = state()
    assert_all(tries("admin"), may=True)
    assert state() == before
