"""ACLs against brokers with an authoriser, and without one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.errors import InvalidInput
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl
from trunkline.testing.processes import BrokerProcess

BINDINGS = frozenset(
    {
        Binding("User:audit-service", "topic", "ai.agent.events", "literal", "Read"),
        Binding("User:audit-service", "group", "audit", "prefix", "DescribeConfigs", host="10.0.0.1"),
        Binding("User:*", "cluster", "kafka-cluster", "literal", "AlterConfigs", permission="deny"),
        Binding("User:CN=someone", "transactional_id", "*", "literal", "All"),
    }
)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    sasl = Sasl(users={"admin": "admin", "audit-service": "secret"})
    with KafkaCluster(tmp_path_factory.mktemp("acls"), sasl=sasl, kafka_home=kafka_home) as cluster:
        yield cluster


def acls(connection: ConnectionOptions) -> Acls:
    return Acls(admin_config(connection))


@pytest.mark.parametrize(
    "strange",
    [
        {"resource": "delegation_token"},
        {"resource": "any"},
        {"operation": "CreateTokens"},
        {"operation": "Any"},
        {"operation": "Unknown"},
        {"pattern": "match"},
        {"permission": "unknown"},
    ],
)
def test_a_binding_that_has_no_name_here_is_refused_by_name_before_anything_is_asked(
    strange: dict[str, str],
) -> None:
    binding = Binding("User:old", "topic", "ai.agent.events", "literal", "Read")._replace(**strange)
    nowhere = acls(ConnectionOptions(bootstrap_servers="127.0.0.1:1"))
    for change in (nowhere.delete, nowhere.create):
        with pytest.raises(InvalidInput, match=r"User:old .* ai\.agent\.events .* does not write"):
            change([*BINDINGS, binding])


@pytest.mark.kafka
def test_bindings_are_listed_as_they_were_created_until_they_are_deleted(secured: KafkaCluster) -> None:
    desk = acls(secured.connection("admin"))
    assert desk.listed() == frozenset()
    desk.create(BINDINGS)
    desk.create(BINDINGS)
    eventually(lambda: desk.listed() == BINDINGS)
    desk.delete(BINDINGS)
    desk.delete(BINDINGS)
    eventually(lambda: desk.listed() == frozenset())


@pytest.mark.kafka
def test_who_may_not_list_them_is_told_so_and_not_that_there_are_none(secured: KafkaCluster) -> None:
    with pytest.raises(KafkaFailed, match=r"grant its principal Describe"):
        acls(secured.connection("audit-service")).listed()


@pytest.mark.kafka
def test_a_real_cluster_without_an_authoriser_has_none(kafka_cluster: KafkaCluster) -> None:
    assert acls(kafka_cluster.connection()).listed() is None


@pytest.mark.kafka
def test_the_embedded_broker_has_none(broker: BrokerProcess) -> None:
    assert acls(ConnectionOptions(bootstrap_servers=broker.address)).listed() is None
