"""What brokers with an authoriser let each user do, tried with real clients, is what `decide` says.

Every user tries every operation on every topic, and every group. A right too many and a right too few are
both deviations.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewPartitions

from trunkline.catalogue.access import (
    Asset,
    Kind,
    Operation,
    Pattern,
    exporter_rights,
    operator_rights,
    rights,
)
from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, ProducerOptions, producer_config, reader_config
from trunkline.deploy.acls import Acl, acls
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.users import OPERATOR
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl

CATALOGUE: Final = load_catalogue()
TOPICS: Final = (*CATALOGUE.topics, *(topic.name for topic in INTERNAL_TOPICS))
RIGHTS: Final = {
    **{str(service): rights(CATALOGUE, service) for service in CATALOGUE.services},
    EXPORTER: exporter_rights(CATALOGUE),
    OPERATOR: operator_rights(CATALOGUE),
}
GROUPS: Final = (*CATALOGUE.services, "audit-service-2", "audit", "trunkline-reader")
READ_BY_ALL: Final = "config.change.events"
SECONDS_MAX: Final = 30.0
DENIED: Final = {
    ck.KafkaError.TOPIC_AUTHORIZATION_FAILED,
    ck.KafkaError.GROUP_AUTHORIZATION_FAILED,
    ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
HARMLESS: Final = {ck.KafkaError.INVALID_PARTITIONS, ck.KafkaError._PARTITION_EOF}
"""What is answered to who may: adding no partitions adds nothing, and a topic without records ends."""

_KINDS: Final = {
    Kind.TOPIC: ResourceType.TOPIC,
    Kind.GROUP: ResourceType.GROUP,
    Kind.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    Kind.CLUSTER: ResourceType.BROKER,
}
_PATTERNS: Final = {
    Pattern.LITERAL: ResourcePatternType.LITERAL,
    Pattern.PREFIX: ResourcePatternType.PREFIXED,
}
Outcome: TypeAlias = dict[str, bool]

pytestmark = pytest.mark.kafka


def binding(acl: Acl) -> AclBinding:
    operation = next(one for one in AclOperation if one.name.replace("_", "") == acl.operation.upper())
    return AclBinding(
        _KINDS[acl.resource],
        acl.name,
        _PATTERNS[acl.pattern],
        acl.principal,
        acl.host,
        operation,
        AclPermissionType.ALLOW,
    )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    """A broker with the contract's topics, a password for each user, and the catalogue's ACLs."""
    users = {"admin": "admin", **dict.fromkeys(RIGHTS, "secret")}
    sasl = Sasl(users=users, mechanism="SCRAM-SHA-512")
    with KafkaCluster(tmp_path_factory.mktemp("access"), sasl=sasl, kafka_home=kafka_home) as cluster:
        ensure_topics(ConnectionOptions(bootstrap_servers=cluster.internal_servers), CATALOGUE, "development")
        admin = AdminClient({"bootstrap.servers": cluster.internal_servers})
        for made in admin.create_acls([binding(acl) for acl in acls(CATALOGUE)]).values():
            made.result(SECONDS_MAX)
        # Groups need their coordinator, which needs its topic.
        committed(admin, "warm-up")
        yield cluster


def deviations(tried: Mapping[str, bool], user: str, operation: Operation, kind: Kind) -> list[str]:
    return [
        f"{user}: {operation} {kind} {name}: decide says {expected}, Kafka {allowed}"
        for name, allowed in tried.items()
        if allowed
        is not (expected := any(right.allows(operation, Asset(kind, name)) for right in RIGHTS[user]))
    ]


@pytest.mark.parametrize("user", RIGHTS)
def test_kafka_lets_each_user_do_what_decide_says_and_nothing_else(guarded: KafkaCluster, user: str) -> None:
    connection = guarded.connection(user)
    admin = AdminClient({"bootstrap.servers": connection.bootstrap_servers, **connection.security})
    visible = described(admin)
    found = [
        *deviations(visible, user, Operation.DESCRIBE, Kind.TOPIC),
        *deviations(configs_described(admin), user, Operation.DESCRIBE_CONFIGS, Kind.TOPIC),
        *deviations(altered(admin), user, Operation.ALTER, Kind.TOPIC),
        *deviations(read(connection, visible), user, Operation.READ, Kind.TOPIC),
        *deviations(written(connection, user), user, Operation.WRITE, Kind.TOPIC),
        *deviations(groups(admin, looked_up), user, Operation.DESCRIBE, Kind.GROUP),
    ]
    if user in CATALOGUE.services:
        # A commit takes Read on the topic as well, which everybody but these has.
        found += deviations(groups(admin, committed), user, Operation.READ, Kind.GROUP)
    assert found == []


def described(admin: AdminClient) -> Outcome:
    futures = admin.describe_topics(ck.TopicCollection(list(TOPICS)), request_timeout=SECONDS_MAX)
    return {name: is_allowed(future.result) for name, future in futures.items()}


def configs_described(admin: AdminClient) -> Outcome:
    futures = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in TOPICS], request_timeout=SECONDS_MAX
    )
    return {resource.name: is_allowed(future.result) for resource, future in futures.items()}


def altered(admin: AdminClient) -> Outcome:
    futures = admin.create_partitions(
        [NewPartitions(name, 1) for name in TOPICS], validate_only=True, request_timeout=SECONDS_MAX
    )
    return {name: is_allowed(future.result) for name, future in futures.items()}


def groups(admin: AdminClient, ask: Callable[[AdminClient, str], Any]) -> Outcome:
    return {name: is_allowed(partial(ask, admin, name)) for name in GROUPS}


def looked_up(admin: AdminClient, group: str) -> Any:
    (future,) = admin.describe_consumer_groups([group], request_timeout=SECONDS_MAX).values()
    return future.result(SECONDS_MAX)


def committed(admin: AdminClient, group: str) -> Any:
    wanted = ck.ConsumerGroupTopicPartitions(group, [ck.TopicPartition(READ_BY_ALL, 0, 0)])
    (future,) = admin.alter_consumer_group_offsets([wanted], request_timeout=SECONDS_MAX).values()
    (partition,) = future.result(SECONDS_MAX).topic_partitions
    if partition.error is not None:
        raise ck.KafkaException(partition.error)


def written(connection: ConnectionOptions, user: str) -> Outcome:
    """With the contract's producer. It is idempotent, and who may write nowhere gets no id for that."""
    writes = any(Operation.WRITE in right.operations for right in RIGHTS[user])
    config = {**producer_config(connection, ProducerOptions()), "enable.idempotence": writes}
    producer = ck.Producer(config)
    found: Outcome = {}

    def told(error: ck.KafkaError | None, message: ck.Message) -> None:
        found[message.topic() or ""] = not is_denial(error)

    for name in TOPICS:
        # One after the other: a refusal makes an idempotent producer start over with all that is under way.
        producer.produce(name, b"", partition=0, on_delivery=told)
        assert producer.flush(SECONDS_MAX) == 0
    return found


def read(connection: ConnectionOptions, visible: Outcome) -> Outcome:
    """Who may not describe a topic may not read it, as Read implies Describe; the library does not ask."""
    found = {name: False for name, allowed in visible.items() if not allowed}
    consumer = ck.Consumer(dict(reader_config(connection)))
    try:
        consumer.assign([ck.TopicPartition(name, 0, 0) for name in TOPICS if name not in found])
        deadline = time.monotonic() + SECONDS_MAX
        while len(found) < len(TOPICS) and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.topic() in TOPICS:
                found[message.topic() or ""] = not is_denial(message.error())
    finally:
        consumer.close()
    assert found.keys() == {*TOPICS}
    return found


def is_allowed(ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except ck.KafkaException as failure:
        return not is_denial(failure.args[0])
    return True


def is_denial(error: ck.KafkaError | None) -> bool:
    """Raises what is neither a denial nor the answer to who may."""
    if error is None or error.code() in HARMLESS:
        return False
    if error.code() not in DENIED:
        raise ck.KafkaException(error)
    return True
