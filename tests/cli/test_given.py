"""Each service comes to a given cluster as its pod would, with what the Secrets' directories hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from trunkline.catalogue.cluster import Authentication
from trunkline.catalogue.load import load_catalogue
from trunkline.cli._given import GivenCluster, reader_of
from trunkline.deploy import connecting
from trunkline.errors import InvalidInput
from trunkline.testing.kafka_config import Sasl, Tls
from trunkline.testing.kafka_secrets import Secrets

CATALOGUE = load_catalogue()
SERVICES = list(CATALOGUE.services)
USER = "audit-service"
SERVERS = "127.0.0.1:9093"


def given(secrets: Path, authentication: Authentication = Authentication.TLS) -> GivenCluster:
    cluster = replace(CATALOGUE.cluster("production"), authentication=authentication)
    return GivenCluster(bootstrap_servers=SERVERS, secrets=secrets, environment="production", cluster=cluster)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    return Secrets.make(tmp_path, Tls(users=SERVICES), sasl=None, brokers=[1]).directory


def test_a_child_is_told_what_the_deployment_tells_with_other_directories(certificates: Path) -> None:
    cluster = CATALOGUE.cluster("production")
    in_pod = connecting.variables(USER, cluster, connecting.in_pod(cluster))
    here = given(certificates).variables(USER)
    directories = {
        connecting.CLUSTER_CA_DIRECTORY: str(certificates / "trunkline-cluster-ca-cert"),
        connecting.USER_DIRECTORY: str(certificates / USER),
        connecting.bootstrap_servers(cluster): SERVERS,
    }
    for there, now in directories.items():
        in_pod = {name: value.replace(there, now) for name, value in in_pod.items()}
    assert here == in_pod
    assert all(Path(value).is_file() for name, value in here.items() if name.endswith("_LOCATION"))


def test_who_runs_the_demo_is_nobody_to_its_children(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_SASL_USERNAME", "root")
    monkeypatch.setenv("TRUNKLINE_CLIENT_PROPERTIES", "root.properties")
    for name in ("TRUNKLINE_STORE", "TRUNKLINE_KEYS", "TRUNKLINE_INSTANCE_ID"):
        monkeypatch.setenv(name, "postgresql://somebodys@h/own")
    monkeypatch.setenv("HOME", "/home/somebody")
    told = given(certificates).surroundings(USER)
    assert "TRUNKLINE_SASL_USERNAME" not in told
    assert "TRUNKLINE_CLIENT_PROPERTIES" not in told
    assert "postgresql://somebodys@h/own" not in told.values()
    assert told["HOME"] == "/home/somebody"
    assert told["TRUNKLINE_SSL_KEY_LOCATION"] == str(certificates / USER / "user.key")


def test_with_passwords_each_service_has_its_own(tmp_path: Path) -> None:
    sasl = Sasl(users={name: f"{name}-secret" for name in SERVICES}, mechanism="SCRAM-SHA-512")
    secrets = Secrets.make(tmp_path, Tls(), sasl=sasl, brokers=[1]).directory
    cluster = given(secrets, Authentication.SCRAM)
    cluster.require_secrets(SERVICES)
    security = cluster.connection(USER).security
    assert security["sasl.username"] == USER
    assert security["sasl.password"] == "audit-service-secret"


def test_what_is_missing_of_the_secrets_is_named(certificates: Path) -> None:
    given(certificates).require_secrets(SERVICES)
    (certificates / USER / "user.key").unlink()
    with pytest.raises(InvalidInput, match=r"has no audit-service/user\.key; it takes a directory for each"):
        given(certificates).require_secrets(SERVICES)
    with pytest.raises(InvalidInput, match=r"has no .*, .*, .* and 24 more"):
        given(certificates / "elsewhere").require_secrets(SERVICES)


@pytest.mark.parametrize("topic", CATALOGUE.topics)
def test_a_topic_is_read_by_a_service_that_consumes_it(topic: str) -> None:
    assert reader_of(CATALOGUE, topic) in CATALOGUE.topic(topic).consumers
