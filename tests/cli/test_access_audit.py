"""`trunkline access audit` on the command line; what it finds on a real Kafka is tested beside the code."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.deploy.acls import acls
from trunkline.deploy.users import OPERATOR
from trunkline.operate.acls import wanted_bindings
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl

Trunkline = Callable[..., Any]
CATALOGUE = load_catalogue()


@pytest.fixture
def guarded(
    tmp_path: Path, kafka_factory: Callable[..., KafkaCluster], monkeypatch: pytest.MonkeyPatch
) -> KafkaCluster:
    """A cluster as the catalogue says, reached with the operator's password."""
    cluster = kafka_factory(sasl=Sasl(users={"admin": "admin", OPERATOR: "secret"}))
    internal = ConnectionOptions(bootstrap_servers=cluster.internal_servers)
    ensure_topics(internal, CATALOGUE, "development")
    Acls(admin_config(internal)).create(wanted_bindings(acls(CATALOGUE)))
    properties = tmp_path / "operator.properties"
    security = cluster.connection(OPERATOR).security
    properties.write_text("".join(f"{name}={value}\n" for name, value in security.items()))
    monkeypatch.setenv("TRUNKLINE_CLIENT_PROPERTIES", str(properties))
    monkeypatch.setenv("TRUNKLINE_BOOTSTRAP_SERVERS", cluster.bootstrap_servers)
    return cluster


AUDIT = ("access", "audit", "--environment", "development", "--principal", "User:{name}")


@pytest.mark.kafka
def test_exit_codes_follow_the_drift(trunkline: Trunkline, guarded: KafkaCluster, tmp_path: Path) -> None:
    ran = trunkline(*AUDIT)
    assert ran.code == 0
    assert "development: every right is as the catalogue says" in ran.out
    assert (
        "  never-used         User:ai-service: Write on topic ai.agent.events; ai.agent.events has" in ran.out
    )
    log = tmp_path / "kafka-authorizer.log"
    log.write_text(
        "[2026-01-02 03:04:05,678] INFO Principal = User:ml-service is Denied operation = READ from host = "
        "10.0.0.7 on resource = Topic:LITERAL:x for request = Fetch with resourceRefCount = 1 based on rule "
        "DefaultDeny (kafka.authorizer.logger)\n"
    )
    Acls(admin_config(ConnectionOptions(bootstrap_servers=guarded.internal_servers))).create(
        [Binding("User:old", "topic", "ai.", "prefix", "Read")]
    )
    ran = trunkline(*AUDIT, "--authorizer-log", str(log), "--json")
    assert ran.code == 3
    told = ran.json()
    assert told["drift"]
    assert [(one["kind"], one["who"]) for one in told["anomalies"]] == [("unknown-principal", "User:old")]
    assert told["denied"][0]["name"] == "x"
    assert len(told["grants"]) == len(acls(CATALOGUE))
    assert trunkline(*AUDIT, "--known", "User:old").code == 0
    ran = trunkline("access", "audit", "--environment", "production")
    assert ran.code == 3
    assert "say so with --principal" in ran.err


def test_a_cluster_without_an_authoriser_is_drift(trunkline: Trunkline, fresh_cluster: str) -> None:
    ran = trunkline("access", "audit", "--environment", "development", "-b", fresh_cluster)
    assert ran.code == 3
    assert "no-authoriser" in ran.out


def test_a_log_that_is_not_there_is_named(trunkline: Trunkline) -> None:
    ran = trunkline("access", "audit", "-e", "development", "--authorizer-log", "/nowhere")
    assert ran.code == 2
    assert "--authorizer-log /nowhere: No such file or directory" in ran.err


def test_a_principal_without_a_name_is_refused(trunkline: Trunkline) -> None:
    ran = trunkline("access", "audit", "-e", "development", "--principal", "User:x")
    assert ran.code == 2
    assert "{name}" in ran.err


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("admin", "begins with User: and has a name"),
        ("User:", "begins with User: and has a name"),
        ("User:audit-service", "the catalogue has it"),
    ],
)
def test_who_cannot_be_known_is_refused(trunkline: Trunkline, known: str, said: str) -> None:
    ran = trunkline(*AUDIT, "--known", known, "-b", "127.0.0.1:1")
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.slow
def test_a_cluster_that_is_away_is_told(trunkline: Trunkline) -> None:
    ran = trunkline("access", "audit", "-e", "development", "-b", "127.0.0.1:1")
    assert ran.code == 4


def test_an_install_without_the_services_says_what_to_install(
    trunkline: Trunkline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trunkline.operate.access_evidence", None)
    ran = trunkline("access", "audit", "-e", "development")
    assert ran.code == 4
    assert "pip install trunkline[services]" in ran.err
