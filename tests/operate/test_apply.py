"""Planning and applying on brokers with an authoriser: from nothing, and after somebody meddled."""

import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.client.config import ConnectionOptions, ProducerOptions, admin_config, producer_config
from trunkline.client.errors import ClusterUnavailable, KafkaFailed
from trunkline.client.kafka import Admin, Producer
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.codec import Encoded
from trunkline.deploy.acls import acls
from trunkline.deploy.users import OPERATOR
from trunkline.operate.acls import wanted_bindings
from trunkline.operate.apply import Applied, ClusterWriter, Outcome
from trunkline.operate.change import Change, Risk, Verb
from trunkline.operate.live import read_live
from trunkline.operate.plan import Plan, cluster_plan, principals
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl
from trunkline.testing.processes import BrokerProcess

CATALOGUE = load_catalogue()
ENVIRONMENT = "development"
KNOWN_AS = principals(CATALOGUE, ENVIRONMENT, "User:{name}")
WANTED = wanted_bindings(acls(CATALOGUE, principals=KNOWN_AS))
NOTHING: frozenset[Risk] = frozenset()
DAY_MS = 86_400_000
PUBLISHES = Binding("User:billing-service", "topic", "billing.usage.events", "literal", "Write")
LISTENS = Binding("User:mallory", "topic", "billing.", "prefix", "Read")


class Desk:
    """Plans and applies on one cluster."""

    def __init__(self, connection: ConnectionOptions) -> None:
        self.connection = connection
        self.admin = Admin(admin_config(connection))
        self.acls = Acls(admin_config(connection))

    def plan(self, *, now_ms: int | None = None) -> Plan:
        now = int(time.time() * 1000) if now_ms is None else now_ms
        live = read_live(self.connection, CATALOGUE, ENVIRONMENT, now_ms=now)
        return cluster_plan(CATALOGUE, ENVIRONMENT, live, known_as=KNOWN_AS, operated=False)

    def apply(self, allowed: frozenset[Risk] = NOTHING, *, now_ms: int | None = None) -> list[Applied]:
        known = WANTED | (self.acls.listed() or frozenset())
        writer = ClusterWriter(self.connection, CATALOGUE, ENVIRONMENT, known=known)
        return list(writer.apply(self.plan(now_ms=now_ms).changes, allowed=allowed))

    def settle(self, subjects: Collection[str]) -> dict[str, Change]:
        """The plan, once the brokers know all that they were told."""
        found: dict[str, Change] = {}

        def told() -> bool:
            found.clear()
            found.update({change.subject: change for change in self.plan().changes})
            return found.keys() == {*subjects}

        eventually(told)
        return found


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[Desk]:
    """A broker that lets nobody do what no ACL says."""
    users = {"admin": "admin", "audit-service": "secret", OPERATOR: "secret"}
    sasl = Sasl(users=users, mechanism="SCRAM-SHA-512")
    with KafkaCluster(tmp_path_factory.mktemp("secured"), sasl=sasl, kafka_home=kafka_home) as cluster:
        desk = Desk(cluster.connection("admin"))
        assert {applied.outcome for applied in desk.apply()} == {Outcome.DONE}
        desk.settle([])
        yield desk


def known_as(secured: Desk, user: str) -> ConnectionOptions:
    security = {**secured.connection.security, "sasl.username": user, "sasl.password": "secret"}
    return ConnectionOptions(bootstrap_servers=secured.connection.bootstrap_servers, security=security)


@pytest.mark.kafka
def test_an_empty_cluster_becomes_what_the_catalogue_says_and_a_second_time_nothing_is_done(
    secured: Desk,
) -> None:
    assert secured.acls.listed() == WANTED
    assert secured.apply() == []


@pytest.mark.kafka
def test_what_somebody_changed_is_named_with_its_risk_and_what_is_safe_is_mended(secured: Desk) -> None:
    admin = secured.admin
    admin.configure("query.execution.events", {"retention.ms": "3600000", "retention.bytes": "1000"})
    admin.delete("ml.model.events")
    admin.add_partitions("ai.agent.events", total=4)
    secured.acls.create([PUBLISHES._replace(principal="User:audit-service"), LISTENS])
    secured.acls.delete([PUBLISHES])
    drift = {
        "topic query.execution.events retention.ms": Risk.SAFE,
        "topic query.execution.events retention.bytes": Risk.SAFE,
        "topic ml.model.events": Risk.SAFE,
        "topic ai.agent.events partitions": Risk.SAFE,  # it never held a record
        "ACL User:audit-service": Risk.ACCESS,
        "ACL User:mallory": Risk.ACCESS,
        "ACL User:billing-service": Risk.SAFE,
    }
    found = secured.settle(drift)
    assert {subject: change.risk for subject, change in found.items()} == drift

    outcomes = {applied.change.subject: applied.outcome for applied in secured.apply()}
    left = {"topic ai.agent.events partitions", "ACL User:audit-service", "ACL User:mallory"}
    assert {subject for subject, outcome in outcomes.items() if outcome is Outcome.LEFT} == left
    assert {outcomes[subject] for subject in drift.keys() - left} == {Outcome.DONE}
    assert secured.settle(left)["ACL User:mallory"].verb is Verb.DELETE

    allowed = secured.apply(frozenset({Risk.ACCESS, Risk.ORDER}))
    assert {applied.change.subject for applied in allowed if applied.outcome is Outcome.DONE} == {
        "ACL User:audit-service"
    }
    secured.settle(left - {"ACL User:audit-service"})
    assert LISTENS in (secured.acls.listed() or ())

    secured.acls.delete([LISTENS])
    admin.delete("ai.agent.events")
    secured.settle(["topic ai.agent.events"])
    secured.apply()
    secured.settle([])


@pytest.mark.kafka
def test_brokers_that_are_open_without_acls_are_closed_only_if_that_is_allowed(
    tmp_path: Path, kafka_home: Path | None
) -> None:
    sasl = Sasl(users={"admin": "admin"}, mechanism="SCRAM-SHA-512")
    settings = {"allow.everyone.if.no.acl.found": "true"}
    with KafkaCluster(tmp_path, sasl=sasl, kafka_home=kafka_home, settings=settings) as cluster:
        desk = Desk(cluster.connection("admin"))
        outcomes = {(one.change.kind, one.outcome) for one in desk.apply()}
        assert outcomes == {("topic", Outcome.DONE), ("ACL", Outcome.LEFT)}
        assert desk.acls.listed() == frozenset()
        assert {one.outcome for one in desk.apply(frozenset({Risk.ACCESS}))} == {Outcome.DONE}
        desk.settle([])


@pytest.mark.kafka
def test_a_growth_that_begins_after_the_plan_keeps_its_fence(secured: Desk) -> None:
    topic = "pipeline.job.events"
    secured.admin.configure(topic, {"retention.ms": "1000", "max.message.bytes": "1000"})
    secured.settle([f"topic {topic} retention.ms", f"topic {topic} max.message.bytes"])
    plan = secured.plan()
    secured.admin.configure(topic, {"max.message.bytes": "0"})
    eventually(lambda: secured.admin.topic_config([topic])[topic]["max.message.bytes"] == "0")
    writer = ClusterWriter(secured.connection, CATALOGUE, ENVIRONMENT, known=())
    told = list(writer.apply(plan.changes, allowed=frozenset(Risk)))
    assert {(one.outcome, one.because.split(";")[0]) for one in told} == {
        (Outcome.LEFT, "a growth has closed the topic meanwhile")
    }
    assert secured.admin.topic_config([topic])[topic]["max.message.bytes"] == "0"
    secured.admin.configure(topic, {"max.message.bytes": None})
    secured.settle([f"topic {topic} retention.ms"])
    secured.apply()
    secured.settle([])


@pytest.mark.kafka
def test_who_may_not_alter_the_cluster_is_told_which_right_is_missing(secured: Desk) -> None:
    with pytest.raises(KafkaFailed, match=r"grant its principal Describe"):
        read_live(known_as(secured, "audit-service"), CATALOGUE, ENVIRONMENT, now_ms=0)


@pytest.mark.kafka
def test_the_operators_user_may_plan_and_may_not_grant(secured: Desk) -> None:
    desk = Desk(known_as(secured, OPERATOR))
    assert desk.plan().changes == ()
    with pytest.raises(KafkaFailed, match=r"grant its principal Alter"):
        desk.acls.create([LISTENS])


@pytest.fixture
def embedded(broker_factory: Callable[..., BrokerProcess]) -> Desk:
    return Desk(ConnectionOptions(bootstrap_servers=broker_factory().address))


def test_the_embedded_broker_gets_its_topics_and_has_no_acls(embedded: Desk) -> None:
    assert embedded.acls.listed() is None
    assert len(embedded.apply()) == len(topic_settings(CATALOGUE, ENVIRONMENT))
    assert embedded.plan().changes == ()


def test_records_older_than_the_contract_keeps_are_deleted_only_if_that_is_allowed(embedded: Desk) -> None:
    embedded.apply()
    config = producer_config(embedded.connection, ProducerOptions())
    producer: Producer[int] = Producer(config)
    for number in range(5):
        producer.send("ai.agent.events", Encoded(b"tenant-1", b"{}", []), number)
    delivered = 0
    while delivered < 5:
        delivered += len(producer.poll(10))
    embedded.admin.configure("ai.agent.events", {"retention.ms": "-1"})
    in_ten_days = int(time.time() * 1000) + 10 * DAY_MS

    (change,) = embedded.plan(now_ms=in_ten_days).changes
    assert (change.risk, change.why.split(" are ")[0]) == (Risk.DATA, "up to 5 records")
    (left,) = embedded.apply(now_ms=in_ten_days)
    assert left.outcome is Outcome.LEFT
    assert "`--allow loses-data`" in left.because
    (done,) = embedded.apply(frozenset({Risk.DATA}), now_ms=in_ten_days)
    assert done.outcome is Outcome.DONE
    assert embedded.plan(now_ms=in_ten_days).changes == ()


def test_a_cluster_that_stops_answering_leaves_the_rest_for_the_next_time(embedded: Desk) -> None:
    plan = embedded.plan()
    away = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    writer = ClusterWriter(away, CATALOGUE, ENVIRONMENT, known=())
    first, *others = writer.apply(plan.changes, allowed=NOTHING)
    assert first.outcome is Outcome.FAILED
    assert "127.0.0.1:1" in first.because
    assert {(other.outcome, other.because) for other in others} == {
        (Outcome.LEFT, "not tried, as the cluster stopped answering")
    }
    with pytest.raises(ClusterUnavailable):
        read_live(away, CATALOGUE, ENVIRONMENT, now_ms=0)
