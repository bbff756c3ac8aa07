"""A whole examination, on the embedded broker and on nothing."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.errors import InvalidInput
from trunkline.operate.doctor.findings import Family, Finding, Verdict, tally
from trunkline.operate.doctor.run import examine
from trunkline.operate.doctor.store import Stores
from trunkline.operate.doctor.visit import Patient
from trunkline.testing.processes import BrokerProcess

CATALOGUE = load_catalogue()
NAME = "audit-service"
TOPIC = "query.execution.events"


@pytest.fixture(scope="module")
def servers(broker: BrokerProcess) -> str:
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), CATALOGUE, "development")
    return broker.address


def patient(servers: str, service: str | None = NAME, directory: Path | None = None) -> Patient:
    return Patient(
        catalogue=CATALOGUE,
        environment="development",
        connection=ConnectionOptions(bootstrap_servers=servers),
        service=service,
        stores=None
        if directory is None
        else Stores(
            store_url=f"sqlite:///{directory / 'store.db'}",
            keys_url=f"sqlite:///{directory / 'keys.db'}",
            master_key=directory / "master.key",
        ),
    )


def of(findings: list[Finding], family: Family) -> list[Finding]:
    return [one for one in findings if one.family is family]


def test_every_family_is_told_in_order_and_nothing_fails(servers: str, tmp_path: Path) -> None:
    found = list(examine(patient(servers, directory=tmp_path)))
    assert list(dict.fromkeys(one.family for one in found)) == list(Family)
    assert tally(found)[Verdict.FAILED] == 0
    assert {one.verdict for one in of(found, Family.TOPICS)} == {Verdict.OK}
    assert {one.verdict for one in of(found, Family.RIGHTS)} == {Verdict.NOT_USED}
    assert list(tmp_path.iterdir()) == []


def test_without_a_service_the_cluster_alone_is_examined(servers: str) -> None:
    found = list(examine(patient(servers, service=None)))
    assert {one.family for one in found} == {*Family} - {Family.RIGHTS, Family.GROUP, Family.STORE}
    assert len(of(found, Family.TOPICS)) == 14


def test_a_dead_address_ends_within_seconds_and_fails_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    found = list(examine(patient("127.0.0.1:1", directory=tmp_path)))
    assert time.monotonic() - begun < 5
    assert [one.family for one in found if one.verdict is Verdict.FAILED] == [Family.REACHABILITY]
    assert tally(found)[Verdict.NOT_CHECKED] == 8
    assert len(of(found, Family.STORE)) == 3


def test_an_unknown_service_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(InvalidInput, match="did you mean audit-service"):
        next(examine(patient("127.0.0.1:1", service="audit-servise")))


def test_an_examination_leaves_no_trace(servers: str) -> None:
    def traces() -> tuple[object, ...]:
        admin = AdminClient({"bootstrap.servers": servers})
        ends = admin.list_offsets({ck.TopicPartition(TOPIC, 0): ck.admin.OffsetSpec.latest()})  # type: ignore[attr-defined, no-untyped-call]
        groups = admin.list_consumer_groups().result().valid
        return sorted(admin.list_topics().topics), [one.result().offset for one in ends.values()], groups

    before = traces()
    list(examine(patient(servers)))
    assert traces() == before


def test_settings_that_the_client_refuses_are_a_finding(servers: str) -> None:
    connection = ConnectionOptions(
        bootstrap_servers=servers, security={"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "NONE"}
    )
    found = list(examine(Patient(catalogue=CATALOGUE, environment="development", connection=connection)))
    (told,) = of(found, Family.CREDENTIALS)
    assert told.verdict is Verdict.FAILED
    assert "refuses its settings" in told.text


def test_a_topic_group_and_clock_that_are_out_of_order_are_told(
    broker_factory: Callable[..., BrokerProcess],
) -> None:
    with broker_factory() as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, CATALOGUE, "development")
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.delete_topics(["ml.model.events"])["ml.model.events"].result()
        producer = ck.Producer({"bootstrap.servers": broker.address})
        producer.produce(TOPIC, b"", partition=0)
        admin.create_topics([NewTopic("somebody.elses", 1)])["somebody.elses"].result()
        tomorrow = round((datetime.now(UTC) + timedelta(days=1)).timestamp() * 1_000)
        producer.produce("somebody.elses", b"", timestamp=tomorrow)
        assert producer.flush(10) == 0
        for group in (NAME, f"{NAME}-old"):
            consumer = ck.Consumer({"bootstrap.servers": broker.address, "group.id": group})
            consumer.commit(offsets=[ck.TopicPartition(TOPIC, 0, 0)], asynchronous=False)
            consumer.close()
        earlier = datetime.now(UTC) - timedelta(minutes=10)
        found = list(examine(patient(broker.address), now=lambda: earlier))
    (missing,) = [one for one in of(found, Family.TOPICS) if one.verdict is Verdict.FAILED]
    assert missing.about == "ml.model.events"
    (told,) = of(found, Family.CLOCK)
    assert told.verdict is Verdict.WARNING
    assert f"newest record of {TOPIC} is 10 min in the future" in told.text
    state, lag, stranger = of(found, Family.GROUP)
    assert "its offsets are kept" in state.text
    assert lag.text.startswith("1 record behind in ")
    assert stranger.about == f"{NAME}-old"


@pytest.mark.slow
def test_a_cluster_that_goes_away_ends_it(broker_factory: Callable[..., BrokerProcess]) -> None:
    with broker_factory() as broker:
        ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), CATALOGUE, "development")
        findings = examine(patient(broker.address))
        found = [next(findings)]
        while found[-1].family is not Family.CREDENTIALS:
            found.append(next(findings))
        broker.kill()
        begun = time.monotonic()
        found += findings
    assert time.monotonic() - begun < 15
    assert {one.family for one in found if one.verdict is Verdict.FAILED} == {Family.BROKERS}
    assert found[-1].text == "the brokers do not answer"


@pytest.mark.slow
def test_a_broker_that_gives_out_a_dead_address_is_told_as_such(
    broker_factory: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    with broker_factory(tmp_path / "data", "--advertised", "127.0.0.1:1") as broker:
        found = list(examine(patient(broker.address)))
    bad = [one for one in found if one.verdict is Verdict.FAILED]
    assert {one.family for one in bad} == {Family.BROKERS}
    assert bad[0].about == "advertised listener 127.0.0.1:1"
    assert "clients are sent there by the bootstrap" in bad[0].text
    assert of(found, Family.CREDENTIALS)[0].verdict is Verdict.NOT_USED


def test_a_service_without_a_group_has_none_to_look_at(servers: str) -> None:
    (told,) = of(list(examine(patient(servers, service="ai-service"))), Family.GROUP)
    assert told.verdict is Verdict.NOT_USED


@pytest.mark.slow
def test_ports_that_accept_and_never_answer_end_together() -> None:
    with ExitStack() as opened:
        silent = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        servers = ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in silent)
        begun = time.monotonic()
        found = list(examine(patient(servers)))
    assert time.monotonic() - begun < 20
    assert [one.family for one in found if one.verdict is Verdict.FAILED] == [
        *([Family.TLS] * 4),
        Family.CREDENTIALS,
    ]
