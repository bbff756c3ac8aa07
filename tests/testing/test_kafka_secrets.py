"""The Secrets of a test cluster lie as Strimzi's operators would write them."""

import stat
from pathlib import Path

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy import connecting
from trunkline.testing.kafka_config import Sasl, Tls
from trunkline.testing.kafka_secrets import Secrets

USER = "audit-service"


def files(directory: Path) -> set[str]:
    return {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}


def test_a_user_with_a_certificate_has_it_its_key_and_the_clients_authority(tmp_path: Path) -> None:
    made = Secrets.make(tmp_path, Tls(users=[USER]), sasl=None, brokers=[1])
    assert files(made.directory) == {
        "trunkline-cluster-ca-cert/ca.crt",
        f"{USER}/user.crt",
        f"{USER}/user.key",
        f"{USER}/ca.crt",
    }
    assert (made.of(USER) / "ca.crt").read_bytes() != made.cluster_ca.read_bytes()
    assert made.listener(1).clients_ca is not None


def test_a_user_with_a_password_has_nothing_else(tmp_path: Path) -> None:
    sasl = Sasl(users={USER: "secret"}, mechanism="SCRAM-SHA-512")
    made = Secrets.make(tmp_path, Tls(), sasl=sasl, brokers=[1])
    assert files(made.directory) == {"trunkline-cluster-ca-cert/ca.crt", f"{USER}/password"}
    assert (made.of(USER) / "password").read_text() == "secret"
    assert made.listener(1).clients_ca is None
    assert "ssl.key.location" not in made.shown_by(USER)


def test_nobody_else_on_the_machine_reads_a_key(tmp_path: Path) -> None:
    made = Secrets.make(tmp_path, Tls(users=[USER]), sasl=None, brokers=[1])
    for file in (made.of(USER) / "user.key", made.listener(1).keystore):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_clusters_authority_is_where_a_pods_volume_looks_for_it(tmp_path: Path) -> None:
    cluster = load_catalogue().cluster("production")
    made = Secrets.make(tmp_path, Tls(cluster=cluster.name), sasl=None, brokers=[1])
    assert made.cluster_ca.parent.name == connecting.ca_secret(cluster)
