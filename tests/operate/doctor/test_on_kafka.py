"""The doctor on a real Kafka that asks who is there and holds everybody to the catalogue's ACLs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.deploy.acls import acls
from trunkline.deploy.users import OPERATOR
from trunkline.operate.acls import wanted_bindings
from trunkline.operate.doctor.findings import Family, Finding, Verdict
from trunkline.operate.doctor.run import examine
from trunkline.operate.doctor.visit import Patient
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl, Tls

CATALOGUE: Final = load_catalogue()
NAME: Final = "audit-service"
USERS: Final = (*CATALOGUE.services, OPERATOR)

pytestmark = pytest.mark.kafka


def prepare(cluster: KafkaCluster, principals: Mapping[str, str] | None = None) -> Acls:
    """Give the cluster the contract's topics and ACLs; who can change these comes back."""
    internal = ConnectionOptions(bootstrap_servers=cluster.internal_servers)
    ensure_topics(internal, CATALOGUE, "development")
    found = Acls(admin_config(internal))
    found.create(wanted_bindings(acls(CATALOGUE, principals=principals)))
    return found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    sasl = Sasl(users={"admin": "admin", **dict.fromkeys(USERS, "secret")}, mechanism="SCRAM-SHA-512")
    with KafkaCluster(tmp_path_factory.mktemp("doctor"), sasl=sasl, kafka_home=kafka_home) as cluster:
        prepare(cluster)
        eventually(lambda: not failed(examined(cluster.connection(NAME), NAME)), seconds=30)
        yield cluster


def examined(connection: ConnectionOptions, service: str | None) -> list[Finding]:
    return list(
        examine(
            Patient(catalogue=CATALOGUE, environment="development", connection=connection, service=service)
        )
    )


def failed(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.verdict is Verdict.FAILED]


def of(findings: list[Finding], family: Family) -> list[Finding]:
    return [one for one in findings if one.family is family]


def settled(cluster: KafkaCluster, wanted: Callable[[Finding], bool]) -> list[Finding]:
    """The findings that are wanted, as soon as there are any: brokers take a moment to hear of an ACL."""
    found: list[Finding] = []

    def look() -> bool:
        found[:] = filter(wanted, examined(cluster.connection(NAME), NAME))
        return bool(found)

    eventually(look, seconds=30)
    return found


def is_failed(finding: Finding) -> bool:
    return finding.verdict is Verdict.FAILED


@contextmanager
def changed(
    cluster: KafkaCluster, *, added: Sequence[Binding] = (), taken: Sequence[Binding] = ()
) -> Iterator[None]:
    """Other ACLs for the time of a test."""
    found = Acls(admin_config(ConnectionOptions(bootstrap_servers=cluster.internal_servers)))
    found.delete(taken)
    found.create(added)
    try:
        yield
    finally:
        found.delete(added)
        found.create(taken)
        eventually(lambda: not failed(examined(cluster.connection(NAME), NAME)), seconds=30)


@pytest.mark.parametrize("service", CATALOGUE.services)
def test_every_service_has_its_rights_and_no_others(guarded: KafkaCluster, service: str) -> None:
    found = examined(guarded.connection(service), service)
    assert failed(found) == []
    assert {one.verdict for one in of(found, Family.RIGHTS)} == {Verdict.OK}
    (told,) = of(found, Family.CREDENTIALS)
    assert told.about == f"SCRAM-SHA-512 as {service}"
    assert "metadata.version" in of(found, Family.VERSIONS)[1].text


def test_a_missing_right_is_named_with_its_acl(guarded: KafkaCluster) -> None:
    taken = Binding(f"User:{NAME}", "topic", "ai.agent.events", "literal", "Read")
    with changed(guarded, taken=[taken]):
        (found,) = settled(guarded, is_failed)
    assert found.family is Family.RIGHTS
    assert "Read is denied" in found.text
    assert "allow User:audit-service Read on topic ai.agent.events (literal)" in found.remedy


def test_a_right_on_one_group_where_the_prefix_is_wanted_is_missing(guarded: KafkaCluster) -> None:
    whole = [Binding(f"User:{NAME}", "group", NAME, "prefix", one) for one in ("Read", "Describe")]
    narrow = [one._replace(pattern="literal") for one in whole]
    with changed(guarded, taken=whole, added=narrow):
        found = settled(guarded, is_failed)
    assert any("(prefixed)" in one.remedy for one in found)


def test_a_right_too_many_is_a_warning(guarded: KafkaCluster) -> None:
    added = Binding(f"User:{NAME}", "topic", "billing.usage.events", "literal", "Alter")
    with changed(guarded, added=[added]):
        (found,) = settled(
            guarded, lambda one: one.family is Family.RIGHTS and one.verdict is Verdict.WARNING
        )
    assert found.about == "topic billing.usage.events"
    assert "may Alter, Describe" in found.text


def test_a_superuser_is_told_as_such(guarded: KafkaCluster) -> None:
    (found,) = of(examined(guarded.connection("admin"), NAME), Family.RIGHTS)
    assert found.verdict is Verdict.WARNING
    assert "superuser" in found.text


def test_a_wrong_password_fails_once_and_the_rest_is_not_checked(guarded: KafkaCluster) -> None:
    found = examined(guarded.connection(NAME, "wrong"), NAME)
    (told,) = failed(found)
    assert told.family is Family.CREDENTIALS
    assert "invalid credentials" in told.text
    assert "wrong" not in told.sentence
    assert {one.verdict for one in of(found, Family.RIGHTS)} == {Verdict.NOT_CHECKED}


def test_a_wrong_mechanism_names_the_right_one(guarded: KafkaCluster) -> None:
    connection = guarded.connection(NAME)
    wrong = replace(connection, security={**connection.security, "sasl.mechanism": "PLAIN"})
    (told,) = failed(examined(wrong, NAME))
    assert "broker's supported mechanisms: SCRAM-SHA-512" in told.text


def test_who_comes_without_a_password_is_told(guarded: KafkaCluster) -> None:
    (told,) = failed(examined(ConnectionOptions(bootstrap_servers=guarded.bootstrap_servers), NAME))
    assert "where brokers ask for a login" in told.text


def test_the_operator_sees_what_settings_differ(guarded: KafkaCluster) -> None:
    internal = Admin(admin_config(ConnectionOptions(bootstrap_servers=guarded.internal_servers)))
    internal.configure("ml.model.events", {"retention.ms": "3600000"})
    try:
        found = of(examined(guarded.connection(OPERATOR), None), Family.TOPICS)
    finally:
        internal.configure("ml.model.events", {"retention.ms": str(7 * 86_400_000)})
    (told,) = [one for one in found if one.verdict is not Verdict.OK]
    assert told.about == "ml.model.events"
    assert "retention.ms is 3600000, the contract has 604800000" in told.text


def test_a_service_may_not_see_settings_and_that_is_said(guarded: KafkaCluster) -> None:
    *_, last = of(examined(guarded.connection(NAME), NAME), Family.TOPICS)
    assert last.verdict is Verdict.NOT_CHECKED
    assert "DescribeConfigs" in last.text


def test_a_listener_that_is_cut_off_fails_once_and_another_of_the_same_broker_does_not(
    guarded: KafkaCluster,
) -> None:
    broker = guarded.brokers[0]
    internal = ConnectionOptions(bootstrap_servers=broker.internal_address)
    broker.cut()
    try:
        (told,) = failed(examined(guarded.connection(NAME), NAME))
        assert told.family is Family.REACHABILITY
        assert "Connection refused" in told.text
        assert {one.verdict for one in of(examined(internal, None), Family.BROKERS)} == {Verdict.OK}
    finally:
        broker.mend()


def test_certificates_and_a_key_are_examined_with_the_secrets_of_strimzi(
    tmp_path: Path, kafka_home: Path | None
) -> None:
    with KafkaCluster(tmp_path / "tls", tls=Tls(users=USERS), kafka_home=kafka_home) as cluster:
        prepare(cluster, {name: f"User:CN={name}" for name in USERS})
        connection = cluster.connection(NAME)
        eventually(lambda: not failed(examined(connection, NAME)), seconds=30)
        found = examined(connection, NAME)
        assert {one.verdict for one in of(found, Family.RIGHTS)} == {Verdict.OK}
        (told,) = of(found, Family.CREDENTIALS)
        assert told.about == "the client's certificate"
        own = {"ssl.ca.location": str(cluster.secrets / NAME / "ca.crt")}
        wrong = failed(examined(replace(connection, security={**connection.security, **own}), NAME))
        assert "ssl.ca is the CA of the clients" in wrong[0].remedy
        bare = {name: value for name, value in connection.security.items() if "certificate" not in name}
        without = failed(examined(replace(connection, security=bare), NAME))
        assert "wants a certificate and the client shows none" in without[0].text
