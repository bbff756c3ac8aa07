"""A service's pod: its command line is one that `trunkline service` takes, and it ends within its time."""

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

import pytest
import typer

from trunkline.catalogue.cluster import Authentication, Machine
from trunkline.catalogue.load import load_catalogue
from trunkline.cli import _connection, service
from trunkline.client.outbox import relay
from trunkline.deploy.labels import API_PORT, HEALTH_PORT, METRICS_PORT
from trunkline.deploy.pods import ENDPOINT_SECONDS, GRACE_SECONDS, TOKENS_DIRECTORY, USER, pod_spec
from trunkline.services.kit.api import server
from trunkline.services.notification import sender
from trunkline.testing.clusters import a_cluster

SERVICES: Final = sorted(load_catalogue().services)


def pod(name: str = "audit-service", **changes: Any) -> dict[str, Any]:
    return pod_spec("production", a_cluster(**changes), name)


def container(name: str = "audit-service", **changes: Any) -> dict[str, Any]:
    (only,) = pod(name, **changes)["containers"]
    return dict(only)


def parsed(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command understands of the container's arguments and variables."""
    for variable in made["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", f"secret of {variable['name']}"))
    command = typer.main.get_command(service.app)
    assert made["command"] == ["trunkline"]
    assert made["args"][0] == "service"
    return dict(command.make_context("service", made["args"][1:]).params)


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_takes_every_flag_and_every_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = container(name)
    found = parsed(made, monkeypatch)
    assert found["name"] == name
    assert found["environment"] == "production"
    assert found["bootstrap_servers"] == "backbone-kafka-bootstrap.kafka.svc:9093"
    assert found["store"] == "secret of TRUNKLINE_STORE"
    assert found["keys"] == "secret of TRUNKLINE_KEYS"
    assert (found["api_port"], found["health_port"], found["metrics_port"]) == (
        API_PORT,
        HEALTH_PORT,
        METRICS_PORT,
    )
    options = typer.main.get_command(service.app).params
    of_options = {str(option.envvar) for option in options if option.envvar}
    security = set(_connection.of_environment({one["name"]: "" for one in made["env"]}))
    ours = {one["name"] for one in made["env"] if one["name"].startswith("TRUNKLINE_")}
    assert len(ours - of_options) == len(security)


@pytest.mark.parametrize("authentication", Authentication)
@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_it_is_told_of_is_in_a_mounted_secret(
    name: str, authentication: Authentication
) -> None:
    made, volumes = container(name, authentication=authentication), pod(name)["volumes"]
    volumes = {one["name"]: one for one in pod(name, authentication=authentication)["volumes"]}
    mounted = {
        str(PurePosixPath(mount["mountPath"], item["path"]))
        for mount in made["volumeMounts"]
        for item in volumes[mount["name"]].get("secret", {}).get("items", [])
    }
    named = {
        one["value"]
        for one in made["env"]
        if one["name"].endswith(("_LOCATION", "_FILE")) and one["name"].startswith("TRUNKLINE_")
    }
    assert named | {f"{TOKENS_DIRECTORY}/public.pem"} <= mounted
    assert "/var/lib/trunkline/keys/master.key" in mounted


def test_every_mount_has_its_volume_and_none_is_a_sub_path() -> None:
    for name in SERVICES:
        names = [one["name"] for one in pod(name)["volumes"]]
        mounts = container(name)["volumeMounts"]
        assert sorted(names) == sorted(mount["name"] for mount in mounts)
        assert all("subPath" not in mount for mount in mounts)


def test_no_password_and_no_url_of_a_database_is_in_the_manifest() -> None:
    by_name = {one["name"]: one for one in container(authentication=Authentication.SCRAM)["env"]}
    for name in ("TRUNKLINE_STORE", "TRUNKLINE_KEYS"):
        assert by_name[name]["valueFrom"]["secretKeyRef"]["name"] == "audit-service-store"
    assert "TRUNKLINE_SASL_PASSWORD" not in by_name


def test_it_is_given_as_long_to_end_as_its_parts_may_take() -> None:
    in_turn = service.STOP_SECONDS + server.STOP_SECONDS + sender.SEND_SECONDS + relay.STOP_SECONDS
    assert ENDPOINT_SECONDS + in_turn <= GRACE_SECONDS
    assert pod()["terminationGracePeriodSeconds"] == GRACE_SECONDS


def test_probes_ask_the_health_port_and_the_start_may_take_minutes() -> None:
    made = container()
    for probe, path in (("startup", "/livez"), ("liveness", "/livez"), ("readiness", "/readyz")):
        assert made[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "health"}
    startup = made["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_it_runs_under_the_restricted_pod_security_standard() -> None:
    made, outer = container(), pod()
    assert outer["securityContext"]["runAsNonRoot"] is True
    assert outer["securityContext"]["runAsUser"] == USER
    assert outer["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert made["securityContext"]["allowPrivilegeEscalation"] is False
    assert made["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert made["securityContext"]["readOnlyRootFilesystem"] is True
    assert outer["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("memory", "limit"), [("512Mi", "4Gi"), ("4096Mi", "4096Mi"), ("6Gi", "6Gi"), ("5G", "5G")]
)
def test_a_limit_is_never_below_what_is_asked_for(memory: str, limit: str) -> None:
    """A Kubernetes API refuses such a pod."""
    pods = replace(a_cluster().services, machine=Machine(cpu="1", memory=memory))
    made = container("query-engine", services=pods)["resources"]
    assert (made["requests"]["memory"], made["limits"]["memory"]) == (memory, limit)


def test_memory_is_limited_and_processor_time_is_not() -> None:
    assert container("billing-service")["resources"] == {
        "requests": {"cpu": "250m", "memory": "512Mi"},
        "limits": {"memory": "512Mi"},
    }
    assert container("query-engine")["resources"]["limits"] == {"memory": "4Gi"}


def test_the_query_engine_asks_for_no_more_than_it_has_when_nobody_queries() -> None:
    assert container("query-engine")["resources"]["requests"] == {"cpu": "250m", "memory": "512Mi"}


def test_pods_are_spread_over_zones_where_there_are_any_and_over_nodes() -> None:
    keys = [one["topologyKey"] for one in pod()["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert len(pod(rack_key=None)["topologySpreadConstraints"]) == 1
