"""The connection of a pod: variables and mounted files together are librdkafka's security settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from trunkline.catalogue.cluster import Authentication
from trunkline.cli import _connection
from trunkline.deploy import connecting
from trunkline.testing.clusters import a_cluster

USER = "audit-service"


def test_with_certificates_the_client_checks_the_brokers_and_shows_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = a_cluster()
    for name, value in connecting.variables(USER, cluster, connecting.in_pod(cluster)).items():
        monkeypatch.setenv(name, value)
    assert _connection.connection("kafka:9093").security == {
        "security.protocol": "SSL",
        "ssl.ca.location": "/etc/kafka/cluster-ca/ca.crt",
        "ssl.certificate.location": "/etc/kafka/user/user.crt",
        "ssl.key.location": "/etc/kafka/user/user.key",
    }


def test_with_a_password_it_is_read_from_where_the_secret_is_mounted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret")
    cluster = a_cluster(authentication=Authentication.SCRAM)
    places = replace(connecting.in_pod(cluster), user=str(tmp_path))
    for name, value in connecting.variables(USER, cluster, places).items():
        monkeypatch.setenv(name, value)
    assert _connection.connection("kafka:9093").security == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": "s3cret",
        "ssl.ca.location": "/etc/kafka/cluster-ca/ca.crt",
    }


def test_the_clients_own_ca_is_never_mounted_as_the_brokers() -> None:
    by_secret = {
        volume["secret"]["secretName"]: [item["key"] for item in volume["secret"]["items"]]
        for volume in connecting.volumes(USER, a_cluster())
    }
    assert by_secret == {"backbone-cluster-ca-cert": ["ca.crt"], USER: ["user.crt", "user.key"]}


def test_a_renewed_certificate_restarts_what_read_it() -> None:
    (secrets,) = connecting.restarted_with(USER, a_cluster()).values()
    mounted = {one["secret"]["secretName"] for one in connecting.volumes(USER, a_cluster())}
    assert set(secrets.split(",")) == mounted
