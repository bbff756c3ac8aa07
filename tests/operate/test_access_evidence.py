"""The audit on a real Kafka with an authoriser, and on the embedded broker, which has none."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient

from trunkline.broker.protocol.messages.configs import (
    IncrementalAlterableConfig,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource,
)
from trunkline.catalogue.internal import BROADCAST_POSITIONS, ERASURE_RECEIPTS
from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.acknowledgement import Acknowledgement, encode_acknowledgement
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.codec.record import Encoded
from trunkline.deploy.acls import acls
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.users import OPERATOR
from trunkline.operate.access_audit import Audit, Irregularity, Use
from trunkline.operate.access_evidence import audited, look
from trunkline.operate.acls import wanted_bindings
from trunkline.operate.authorizer_log import Attempt, AuthorizerLog, read_authorizer_log
from trunkline.services.kit.ending.records import End, Receipt, encode_receipt
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.wire import WireClient

CATALOGUE: Final = load_catalogue()
KNOWN_AS: Final = {name: f"User:{name}" for name in (*CATALOGUE.services, EXPORTER, OPERATOR)}
TOPIC: Final = "query.execution.events"
BROKER_LOGGER: Final = 8
NOW: Final = datetime.now(UTC)


def internal(cluster: KafkaCluster) -> ConnectionOptions:
    return ConnectionOptions(bootstrap_servers=cluster.internal_servers)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    """A cluster as the catalogue says, whose authoriser also writes down what it allows."""
    sasl = Sasl(users={"admin": "admin", **dict.fromkeys(KNOWN_AS, "secret")}, mechanism="SCRAM-SHA-512")
    with KafkaCluster(tmp_path_factory.mktemp("audit"), sasl=sasl, kafka_home=kafka_home) as cluster:
        ensure_topics(internal(cluster), CATALOGUE, "development")
        Acls(admin_config(internal(cluster))).create(wanted_bindings(acls(CATALOGUE)))
        told = IncrementalAlterableConfig(name="kafka.authorizer.logger", config_operation=0, value="DEBUG")
        resource = IncrementalAlterConfigsResource(
            resource_type=BROKER_LOGGER, resource_name="1", configs=[told]
        )
        client = WireClient(cluster.internal_servers)
        client.ask(IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), 1)
        client.close()
        yield cluster


def audit(cluster: KafkaCluster, user: str = OPERATOR, log: AuthorizerLog | None = None) -> Audit:
    seen = look(cluster.connection(user), CATALOGUE)
    return audited(seen, CATALOGUE, known_as=KNOWN_AS, accepted=["User:admin"], log=log)


def log_of(cluster: KafkaCluster) -> AuthorizerLog:
    return read_authorizer_log(cluster.brokers[0].log_file.read_text().splitlines())


def use_of(found: Audit, user: str, operation: str, name: str) -> tuple[Use, str]:
    (grant,) = [
        one
        for one in found.grants
        if one.binding[:1] == (KNOWN_AS[user],)
        and (one.binding.operation, one.binding.name) == (operation, name)
    ]
    return grant.use, grant.evidence


def write(connection: ConnectionOptions, topic: str, record: Encoded) -> None:
    producer = ck.Producer({"bootstrap.servers": connection.bootstrap_servers, **connection.security})
    producer.produce(topic, record.value, key=record.key)
    assert producer.flush(20) == 0


def commit(connection: ConnectionOptions, group: str, topic: str) -> None:
    consumer = ck.Consumer(
        {"bootstrap.servers": connection.bootstrap_servers, **connection.security, "group.id": group}
    )
    consumer.commit(offsets=[ck.TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()


@pytest.mark.kafka
def test_a_cluster_as_the_catalogue_says_has_no_anomaly(guarded: KafkaCluster) -> None:
    eventually(lambda: not audit(guarded).anomalies, seconds=30)
    found = audit(guarded)
    assert len(found.grants) == len(wanted_bindings(acls(CATALOGUE)))
    assert found.notes == ()


@pytest.mark.kafka
def test_everything_that_the_catalogue_does_not_know_is_named(guarded: KafkaCluster) -> None:
    strange = {
        Binding("User:old", "topic", "ai.", "prefix", "Read"): Irregularity.UNKNOWN_PRINCIPAL,
        Binding("User:*", "topic", "*", "literal", "Describe"): Irregularity.EVERYBODY,
        Binding("User:ml-service", "topic", TOPIC, "literal", "All"): Irregularity.NOT_IN_CATALOGUE,
        Binding("User:ml-service", "cluster", "kafka-cluster", "literal", "Alter", permission="deny"): (
            Irregularity.DENIAL
        ),
    }
    gone = Binding("User:audit-service", "topic", TOPIC, "literal", "Read")
    ours = Acls(admin_config(internal(guarded)))
    commit(internal(guarded), "stray", TOPIC)
    ours.create(strange)
    ours.delete([gone])
    wanted = {
        *((kind, one.principal) for one, kind in strange.items()),
        (Irregularity.MISSING, "User:audit-service"),
        (Irregularity.UNKNOWN_GROUP, "stray"),
    }
    try:
        eventually(lambda: {(one.kind, one.who) for one in audit(guarded).anomalies} == wanted, seconds=30)
        seen = look(guarded.connection(OPERATOR), CATALOGUE)
        strangers = audited(seen, CATALOGUE, known_as=KNOWN_AS).anomalies
        assert (Irregularity.UNKNOWN_USER, "admin") in {(one.kind, one.who) for one in strangers}
    finally:
        ours.delete(strange)
        ours.create([gone])
        admin = AdminClient({"bootstrap.servers": guarded.internal_servers})
        admin.delete_consumer_groups(["stray"])["stray"].result(20)


@pytest.mark.kafka
def test_use_is_told_by_traces_and_exactly_by_the_log(guarded: KafkaCluster) -> None:
    before = audit(guarded)
    assert use_of(before, "iam-service", "Write", "security.audit.events")[0] is Use.NEVER
    assert use_of(before, "iam-service", "Read", "trunkline.tenant.ends")[0] is Use.UNKNOWN
    write(guarded.connection("iam-service"), "security.audit.events", Encoded(b"acme", b"{}", []))
    commit(guarded.connection("billing-service"), "billing-service", "ai.agent.events")
    said = Acknowledgement(
        service="ml-service",
        instance="one",
        topic="config.change.events",
        topic_id="x",
        positions={0: 0},
        digest="",
        entries=0,
        rejected=0,
        last_rejected=None,
        stale=False,
        stopped=False,
        at=NOW,
    )
    write(guarded.connection("ml-service"), BROADCAST_POSITIONS.name, encode_acknowledgement(said))
    end = End(tenant="acme", deletion_id="d-1", deleted_at=NOW)
    receipt = Receipt.of(end, service="ml-service", erased_at=NOW, rows={}, keys_destroyed=1)
    write(guarded.connection("ml-service"), ERASURE_RECEIPTS.name, encode_receipt(receipt))
    after = audit(guarded)
    assert use_of(after, "iam-service", "Write", "security.audit.events")[0] is Use.USED
    assert use_of(after, "billing-service", "Read", "ai.agent.events")[0] is Use.USED
    assert use_of(after, "billing-service", "Read", "billing-service")[0] is Use.USED
    # The operator may read neither internal topic; an administrator may.
    assert use_of(after, "ml-service", "Write", ERASURE_RECEIPTS.name)[0] is Use.UNKNOWN
    by_admin = audit(guarded, "admin")
    assert use_of(by_admin, "ml-service", "Write", ERASURE_RECEIPTS.name)[0] is Use.USED
    assert use_of(by_admin, "ml-service", "Read", "config.change.events")[0] is Use.USED
    exact = audit(guarded, log=log_of(guarded))
    use, why = use_of(exact, "ml-service", "Write", ERASURE_RECEIPTS.name)
    assert use is Use.USED
    assert "says the log" in why
    assert use_of(exact, "iam-service", "Read", "trunkline.tenant.ends")[0] is Use.NEVER


@pytest.mark.kafka
def test_what_was_denied_is_in_the_log(guarded: KafkaCluster) -> None:
    producer = ck.Producer(
        {"bootstrap.servers": guarded.bootstrap_servers, **guarded.connection("ai-service").security}
    )
    refused: list[str] = []

    def told(error: ck.KafkaError | None, _message: ck.Message) -> None:
        refused.append("" if error is None else error.name())

    producer.produce("security.audit.events", b"", on_delivery=told)
    assert producer.flush(20) == 0
    assert refused == ["TOPIC_AUTHORIZATION_FAILED"]
    # The library looks a topic up before it writes, and goes no further when that is denied.
    attempt = Attempt("User:ai-service", "Describe", "topic", "security.audit.events")
    eventually(lambda: attempt in log_of(guarded).denied, seconds=10)


@pytest.mark.kafka
def test_who_may_not_list_acls_is_told_and_sees_no_false_drift(guarded: KafkaCluster) -> None:
    with pytest.raises(KafkaFailed, match="grant its principal Describe on the cluster"):
        look(guarded.connection("audit-service"), CATALOGUE)


def test_brokers_without_an_authoriser_are_one_anomaly(broker: BrokerProcess) -> None:
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, CATALOGUE, "development")
    found = audited(look(connection, CATALOGUE), CATALOGUE, known_as=KNOWN_AS)
    assert [one.kind for one in found.anomalies] == [Irregularity.NO_AUTHORISER]
    assert found.grants == ()
