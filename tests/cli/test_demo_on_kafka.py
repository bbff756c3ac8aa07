"""The demo on three brokers that ask for certificates and hold everybody to the catalogue's rights."""

import json
from collections.abc import Callable
from typing import Any

import confluent_kafka as ck
import pytest

from trunkline.catalogue.access import Asset, Kind, Operation, rights
from trunkline.catalogue.internal import GROWTH_JOURNAL
from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import run
from trunkline.client.config import ConsumerOptions, admin_config, consumer_config
from trunkline.client.kafka import Admin
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.client.kafka.survey import Survey
from trunkline.operate.authorizer_log import AuthorizerLog, read_authorizer_log
from trunkline.testing.access_matrix import user_rights
from trunkline.testing.certificates import Authority
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Tls
from trunkline.testing.kafka_leaders import set_log_level

CATALOGUE = load_catalogue()
USER = "notification-service"

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


class Demo:
    """Runs the demo on a cluster."""

    def __init__(self, cluster: KafkaCluster, capsys: pytest.CaptureFixture[str]) -> None:
        self._cluster = cluster
        self._capsys = capsys

    def run(self, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output, and the lines of standard error."""
        self._capsys.readouterr()
        code = run(
            [
                *("demo", "--bootstrap-servers", self._cluster.bootstrap_servers),
                *("--secrets", str(self._cluster.secrets), "--environment", "production", "--json"),
                *options,
            ]
        )
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def refused(self) -> tuple[int, str]:
        """Exit code and the only line, of a run that does nothing."""
        code, out, err = self.run()
        (line,) = err.splitlines()
        assert out == ""
        assert line.startswith("error: ")
        return code, line


def write_down_what_is_asked(cluster: KafkaCluster) -> None:
    """Denials are in the brokers' logs anyway."""
    for broker in cluster.brokers:
        address = broker.internal_address
        set_log_level(address, broker.number, logger="kafka.authorizer.logger", level="DEBUG")


def asked_of(cluster: KafkaCluster) -> AuthorizerLog:
    logs = [broker.log_file.read_text() for broker in cluster.brokers]
    return read_authorizer_log(line for log in logs for line in log.splitlines())


def unused(asked: AuthorizerLog) -> set[tuple[Kind, Operation, str]]:
    """Services' rights that nobody has made use of, without who has them: kind, operation and name."""
    found = set()
    for service in CATALOGUE.services:
        used = [attempt for attempt in asked.allowed if attempt.principal == f"User:CN={service}"]
        for right in rights(CATALOGUE, service):
            done = {one.operation for one in used if right.covers(Asset(Kind(one.resource), one.name))}
            left = set(right.operations) - {Operation(name) for name in done}
            found |= {(right.resource, operation, right.name) for operation in left}
    return found


@pytest.mark.timeout(300)
def test_every_claim_holds_under_the_catalogues_rights_and_no_service_asks_for_more(
    production: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    write_down_what_is_asked(production)
    demo = Demo(production, capsys)
    code, out, err = demo.run("--seconds", "10")
    assert out, err
    report: dict[str, Any] = json.loads(out)
    assert [claim["name"] for claim in report["claims"] if not claim["holds"]] == []
    assert code == 0, err
    assert set(report["in_log_by_topic"]) == set(CATALOGUE.topics)
    assert all(report["in_log_by_topic"].values())
    asked = asked_of(production)
    assert list(asked.denied) == []
    # The journal of growth is looked at every time, and read where it has something to say.
    assert unused(asked) == {(Kind.TOPIC, Operation.READ, GROWTH_JOURNAL.name)}
    code, line = demo.refused()
    assert code == 2
    assert "the demo counts everything" in line
    assert "give it an empty cluster" in line


def test_a_service_that_is_not_let_in_is_named_before_anything_is_started(
    production: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = Authority.make("clients-ca").issue(USER)
    (production.secrets / USER / "user.crt").write_bytes(stranger.certificate)
    (production.secrets / USER / "user.key").write_bytes(stranger.key)
    code, line = Demo(production, capsys).refused()
    assert code == 1
    assert line.startswith(f"error: {USER}: ")
    assert "refuses this client" in line


def test_services_that_run_there_already_are_named(
    production: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ConsumerOptions(group=USER)
    consumer = ck.Consumer(dict(consumer_config(production.connection(USER), options)))
    try:
        consumer.subscribe(["billing.usage.events"])
        eventually(lambda: consumer.poll(0.1) is None and bool(consumer.assignment()), seconds=30)
        code, line = Demo(production, capsys).refused()
    finally:
        consumer.close()
    assert code == 2
    assert f"there run already: {USER}" in line


def test_on_a_cluster_that_is_not_set_up_it_is_said_how_to_do_that(
    kafka_factory: Callable[..., KafkaCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = kafka_factory(tls=Tls(users=tuple(user_rights(CATALOGUE))))
    code, line = Demo(cluster, capsys).refused()
    assert code == 2
    assert "denies tenant-service Describe on config.change.events, " in line
    assert "run `trunkline apply --environment production` first" in line


def test_a_right_that_is_missing_is_named_before_anything_is_started(
    production: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    right = Binding(f"User:CN={USER}", "topic", "billing.usage.events", "literal", "Read")
    Acls(admin_config(production.connection("root"))).delete([right])
    told = Survey(admin_config(production.connection(USER)))
    eventually(lambda: "Read" not in (told.topics([right.name])[right.name].operations or ()))
    code, line = Demo(production, capsys).refused()
    assert code == 2
    assert f"denies {USER} Read on {right.name}; run `trunkline apply --environment production`" in line


def test_where_topics_are_missing_it_is_said_how_to_create_them(
    production: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    Admin(admin_config(production.connection("root"))).delete("billing.usage.events")
    code, line = Demo(production, capsys).refused()
    assert code == 2
    assert "has no topic billing.usage.events; run `trunkline apply --environment production` first" in line
