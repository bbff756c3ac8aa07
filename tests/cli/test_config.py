"""Looking up the configuration, and who has applied it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.instance import Broadcast
from trunkline.client.config import ConnectionOptions
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, CommandProcess

Trunkline = Callable[..., Any]


@pytest.fixture
def cluster(broker_factory: Callable[..., BrokerProcess]) -> str:
    """A broker of the test's own: instances that were there before are listed for an hour."""
    address = broker_factory().address
    ensure_topics(ConnectionOptions(bootstrap_servers=address), load_catalogue(None), "development")
    return address


def publish(trunkline: Trunkline, cluster: str, data: str, tenant: str = "system") -> None:
    event = ("config.value_set.v1", data, "--service", "config-service", "--tenant", tenant)
    assert trunkline("publish", *event, "-b", cluster).code == 0


def test_a_setting_is_looked_up_from_the_topic_alone(trunkline: Trunkline, cluster: str) -> None:
    missing = trunkline("config", "get", "query.timeout_ms", "-b", cluster)
    assert missing.code == 1
    assert "not set here on any level" in missing.err
    publish(
        trunkline,
        cluster,
        '{"key":"query.timeout_ms","level":"global","value":5,"version":1,"actor_id":"u"}',
    )
    publish(
        trunkline,
        cluster,
        '{"key":"query.timeout_ms","level":"tenant","scope":"acme","value":[7],"version":3,"actor_id":"u"}',
        "acme",
    )
    assert trunkline("config", "get", "query.timeout_ms", "-b", cluster).out == "5  (global, version 1)\n"
    of_tenant = trunkline("config", "get", "query.timeout_ms", "--tenant", "acme", "-b", cluster, "--json")
    assert of_tenant.json() == {
        "key": "query.timeout_ms",
        "value": [7],
        "level": "tenant",
        "version": 3,
        "reason": "FOUND",
    }
    listed = [line.split() for line in trunkline("config", "list", "-b", cluster).out.splitlines()]
    assert ["query.timeout_ms", "value", "tenant", "acme", "3", "[7]"] in listed


def test_instances_are_listed_by_what_they_say_and_have_the_topics_digest(
    trunkline: Trunkline, cluster: str
) -> None:
    assert "no instance has said anything" in trunkline("config", "instances", "-b", cluster).err
    with Broadcast(
        service="audit-service",
        instance="host-1",
        connection=ConnectionOptions(bootstrap_servers=cluster),
        catalogue=load_catalogue(None),
    ) as config:
        assert config.wait_current(20)

        def said() -> Any:
            return trunkline("config", "instances", "-b", cluster, "--json").json()

        eventually(lambda: [one["standing"] for one in said()] == ["current"])
        (one,) = said()
        assert (one["service"], one["instance"], one["behind"]) == ("audit-service", "host-1", 0)
        digest = trunkline("config", "digest", "-b", cluster, "--json").json()
        assert one["digest"] == digest["digest"] == config.digest
        assert trunkline("config", "digest", "-b", cluster).out == f"{config.digest}\n"
        nobody = trunkline("config", "instances", "--behind", "-b", cluster)
        assert nobody.err == "1 instance, all current\n"
        assert "host-1" in trunkline("config", "instances", "-b", cluster).out
    eventually(lambda: said() == [])


def test_a_service_keeps_the_configuration_beside_its_consumer(
    trunkline: Trunkline, cluster: str, tmp_path: Path
) -> None:
    where = ("--data-dir", str(tmp_path), "--bootstrap-servers", cluster)
    command = ("service", "audit-service", "--instance-id", "host-7", *where, "--json")
    with CommandProcess(command, ready=lambda line: line.startswith("{")) as service:

        def seen() -> Any:
            return trunkline("config", "instances", "-b", cluster, "--json").json()

        eventually(lambda: [(one["instance"], one["standing"]) for one in seen()] == [("host-7", "current")])
        assert service.terminate() == 0
    assert seen() == []
