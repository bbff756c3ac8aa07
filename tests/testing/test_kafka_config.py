"""What Kafka nodes are told."""

from pathlib import Path

import pytest

from trunkline.errors import InvalidInput
from trunkline.testing.kafka_config import ListenerTls, Node, Ports, Sasl, properties, render, scram_users

NODE = Node(
    number=2,
    host="127.0.0.1",
    ports=Ports(client=21, internal=22, controller=23),
    advertised=9092,
    data=Path("/data"),
)
THREE = {1: 13, 2: 23, 3: 33}


def test_clients_are_sent_to_the_proxy_and_peers_are_not() -> None:
    told = properties(NODE, THREE, None)
    assert told["listeners"] == "CLIENT://127.0.0.1:21,INTERNAL://127.0.0.1:22,CONTROLLER://127.0.0.1:23"
    assert told["advertised.listeners"] == "CLIENT://127.0.0.1:9092,INTERNAL://127.0.0.1:22"
    assert told["controller.quorum.voters"] == "1@127.0.0.1:13,2@127.0.0.1:23,3@127.0.0.1:33"


@pytest.mark.parametrize(("voters", "replicas", "in_sync"), [({1: 13}, "1", "1"), (THREE, "3", "2")])
def test_internal_topics_fit_the_number_of_brokers(
    voters: dict[int, int], replicas: str, in_sync: str
) -> None:
    told = properties(NODE, voters, None)
    assert {told[name] for name in told if name.endswith("replication.factor")} == {replicas}
    assert {told[name] for name in told if name.endswith(("min.isr", "min.insync.replicas"))} == {in_sync}


def test_with_passwords_only_the_client_listener_asks_for_them() -> None:
    told = properties(NODE, THREE, Sasl(users={"admin": "a", "reader": "b"}))
    assert told["listener.security.protocol.map"].startswith("CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT")
    assert told["super.users"] == "User:ANONYMOUS;User:admin"
    assert 'user_reader="b"' in told["listener.name.client.plain.sasl.jaas.config"]


def test_users_with_scram_are_in_the_storage_and_no_password_is_in_the_settings() -> None:
    sasl = Sasl(users={"reader": "b-secret"}, mechanism="SCRAM-SHA-512")
    told = properties(NODE, THREE, sasl)
    assert told["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert "ScramLoginModule" in told["listener.name.client.scram-sha-512.sasl.jaas.config"]
    assert "b-secret" not in render(told)
    assert scram_users(sasl) == ["--add-scram", "SCRAM-SHA-512=[name=reader,password=b-secret]"]
    assert scram_users(Sasl()) == scram_users(None) == []


def test_who_must_show_a_certificate_is_known_by_it_and_may_nothing_that_no_acl_allows() -> None:
    tls = ListenerTls(keystore=Path("/b.pem"), clients_ca=Path("/c.crt"), superusers=("CN=root",))
    told = properties(NODE, THREE, None, tls=tls)
    assert told["listener.security.protocol.map"].startswith("CLIENT:SSL,INTERNAL:PLAINTEXT")
    assert told["listener.name.client.ssl.client.auth"] == "required"
    assert told["listener.name.client.ssl.keystore.location"] == "/b.pem"
    assert "allow.everyone.if.no.acl.found" not in told  # Kafka itself denies then
    assert told["super.users"] == "User:ANONYMOUS;User:CN=root"


def test_with_passwords_over_tls_nobody_is_asked_for_a_certificate() -> None:
    tls = ListenerTls(keystore=Path("/b.pem"), clients_ca=None, superusers=())
    told = properties(NODE, THREE, Sasl(mechanism="SCRAM-SHA-512"), tls=tls)
    assert told["listener.security.protocol.map"].startswith("CLIENT:SASL_SSL,INTERNAL:PLAINTEXT")
    assert "listener.name.client.ssl.client.auth" not in told
    assert told["super.users"] == "User:ANONYMOUS;User:admin"


def test_where_nobody_is_known_there_is_no_authoriser() -> None:
    tls = ListenerTls(keystore=Path("/b.pem"), clients_ca=None, superusers=())
    assert "authorizer.class.name" not in properties(NODE, THREE, None, tls=tls)
    assert "authorizer.class.name" not in properties(NODE, THREE, None)


@pytest.mark.parametrize("text", ["a,b", "[a]", 'a"b', "a;b", "a b", "a\nb", "ä"])
def test_a_user_that_would_break_the_configuration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a user or a password"):
        Sasl(users={text: "x"})


def test_a_backslash_survives_javas_reading() -> None:
    assert render({"log.dirs": "a\\b"}) == "log.dirs=a\\\\b\n"
