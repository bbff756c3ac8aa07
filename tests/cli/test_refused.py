"""Clusters that do not let a command in, or not everywhere: one line within seconds, and what to change.

On a real Apache Kafka, because the embedded broker knows neither logins nor ACLs.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl

pytestmark = pytest.mark.kafka

Trunkline = Callable[..., Any]

TOPIC: Final = "query.execution.events"
SECONDS_MAX: Final = 15.0
"""A service gives a cluster that does not answer 10 s; everything else ends within 6 s."""

TOPICS_ONLY, GROUPS_ONLY, READS_NOTHING = "topics-only", "groups-only", "reads-nothing"
READS_TOPICS: Final = "reads-topics"
READS_ALL_BUT_ONE: Final = "reads-all-but-one"
_TOPIC, _GROUP = (ResourceType.TOPIC, "*"), (ResourceType.GROUP, "*")
_CLUSTER = (ResourceType.BROKER, "kafka-cluster")
GRANTS: Final[Mapping[str, list[tuple[tuple[ResourceType, str], AclOperation]]]] = {
    TOPICS_ONLY: [(_TOPIC, AclOperation.ALL), (_CLUSTER, AclOperation.ALL)],
    GROUPS_ONLY: [(_GROUP, AclOperation.ALL), (_CLUSTER, AclOperation.ALL)],
    READS_TOPICS: [(_TOPIC, AclOperation.READ)],
    READS_NOTHING: [(_TOPIC, AclOperation.DESCRIBE), (_GROUP, AclOperation.ALL)],
    READS_ALL_BUT_ONE: [
        (_TOPIC, AclOperation.DESCRIBE),
        (_GROUP, AclOperation.ALL),
        *(
            ((ResourceType.TOPIC, name), AclOperation.READ)
            for name in load_catalogue(None).topics
            if name != TOPIC
        ),
    ],
}

QUICK: Final[Mapping[str, list[str]]] = {
    "publish": [
        *("publish", "--service", "query-engine", "--tenant", "acme", "query.completed.v1", "@DIR/query.json")
    ],
    "tail": ["tail", TOPIC],
    "lag": ["lag", "--group", "audit-service"],
    "topics": ["topics"],
    "topics create": ["topics", "create"],
    "tenants": ["tenants", TOPIC],
    "config": ["config", "list"],
    "import": ["import", "cloudevents", "DIR/events.jsonl"],
}
"""A command line for each command that asks a cluster and ends."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None) -> Iterator[KafkaCluster]:
    """A broker that asks for a password and has the contract's topics."""
    users = {"admin": "secret", **dict.fromkeys(GRANTS, "secret")}
    with KafkaCluster(
        tmp_path_factory.mktemp("guarded"), sasl=Sasl(users=users), kafka_home=kafka_home
    ) as cluster:
        past_acls = ConnectionOptions(bootstrap_servers=cluster.internal_servers)
        ensure_topics(past_acls, load_catalogue(None), "development")
        acls = [
            AclBinding(
                *where, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
            )
            for user, grants in GRANTS.items()
            for where, operation in grants
        ]
        admin = AdminClient({"bootstrap.servers": cluster.internal_servers})
        for future in admin.create_acls(acls).values():
            future.result(10)
        yield cluster


@pytest.fixture
def line(tmp_path: Path, query_json: str) -> Callable[[str], list[str]]:
    """The command line of a command's name, with its input in a directory of the test's own."""
    (tmp_path / "query.json").write_text(query_json)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/query-engine",
        "type": "query.completed.v1",
        "time": "2026-01-01T00:00:00Z",
        "tenantid": "acme",
        "datacontenttype": "application/json",
        "data": msgspec.json.decode(query_json),
    }
    (tmp_path / "events.jsonl").write_bytes(msgspec.json.encode(event) + b"\n")
    return lambda name: [part.replace("DIR", str(tmp_path)) for part in QUICK[name]]


@pytest.fixture
def log_in(tmp_path: Path) -> Callable[..., list[str]]:
    """The options that name a cluster and a user."""

    def options(cluster: KafkaCluster, user: str, password: str = "secret") -> list[str]:
        file = tmp_path / "client.properties"
        security = cluster.connection(user, password).security
        file.write_text("".join(f"{name}={value}\n" for name, value in security.items()))
        return ["--bootstrap-servers", cluster.bootstrap_servers, "--client-properties", str(file)]

    return options


def service(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trunkline", "service", "audit-service", "--data-dir", data_dir, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def ended_with(service: subprocess.CompletedProcess[str]) -> str:
    """The service's last words, which must be one line for a person."""
    assert "Traceback" not in service.stderr
    return service.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", QUICK)
def test_who_may_do_everything_can_run_every_command(
    trunkline: Trunkline,
    guarded: KafkaCluster,
    line: Callable[[str], list[str]],
    log_in: Callable[..., list[str]],
    command: str,
) -> None:
    done = trunkline(*line(command), *log_in(guarded, "admin"))
    assert (done.code, "error" in done.err) == (0, False)


@pytest.mark.parametrize("command", ["tail", "tenants", "config"])
def test_who_reads_without_a_group_needs_no_grant_for_one(
    trunkline: Trunkline,
    guarded: KafkaCluster,
    line: Callable[[str], list[str]],
    log_in: Callable[..., list[str]],
    command: str,
) -> None:
    assert trunkline(*line("publish"), *log_in(guarded, "admin")).code == 0
    for _ in range(3):
        done = trunkline(*line(command), *log_in(guarded, READS_TOPICS))
        assert (done.code, "error" in done.err) == (0, False), done.err


@pytest.mark.parametrize("command", QUICK)
def test_a_wrong_password_is_said_to_be_one(
    trunkline: Trunkline,
    guarded: KafkaCluster,
    line: Callable[[str], list[str]],
    log_in: Callable[..., list[str]],
    command: str,
) -> None:
    began = time.monotonic()
    done = trunkline(*line(command), *log_in(guarded, "admin", "guessed"))
    assert time.monotonic() - began < SECONDS_MAX
    assert done.code == 1
    (said,) = done.err.splitlines()
    assert said.startswith("error: ")
    assert "Invalid username or password" in said
    assert "TRUNKLINE_SASL_*" in said
    assert "--client-properties" in said


def test_without_a_login_the_settings_of_one_are_named(trunkline: Trunkline, guarded: KafkaCluster) -> None:
    done = trunkline("topics", "--bootstrap-servers", guarded.bootstrap_servers)
    assert done.code == 4
    (said,) = done.err.splitlines()
    assert "TRUNKLINE_BOOTSTRAP_SERVERS" in said
    assert "TRUNKLINE_SECURITY_PROTOCOL" in said


@pytest.mark.parametrize(
    ("command", "user", "granted"),
    [
        ("publish", GROUPS_ONLY, f"Describe on topic {TOPIC}"),
        ("publish", READS_NOTHING, "grant its principal Write"),
        ("tail", GROUPS_ONLY, f"Describe on topic {TOPIC}"),
        ("tail", READS_NOTHING, f"Read on topic {TOPIC}"),
        ("lag", TOPICS_ONLY, "Describe on group audit-service"),
        ("lag", GROUPS_ONLY, "Describe on topic "),
        ("topics", GROUPS_ONLY, "Describe on topic tenant.lifecycle.events"),
        ("topics create", READS_NOTHING, "DescribeConfigs on topic tenant.lifecycle.events"),
        ("tenants", GROUPS_ONLY, f"Describe on topic {TOPIC}"),
        ("import", GROUPS_ONLY, f"Describe on topic {TOPIC}"),
    ],
)
def test_what_is_not_granted_is_named(
    trunkline: Trunkline,
    guarded: KafkaCluster,
    line: Callable[[str], list[str]],
    log_in: Callable[..., list[str]],
    *,
    command: str,
    user: str,
    granted: str,
) -> None:
    began = time.monotonic()
    trunkline(*line("publish"), *log_in(guarded, "admin"))
    done = trunkline(*line(command), *log_in(guarded, user))
    assert time.monotonic() - began < SECONDS_MAX
    # What was handed to a client that then failed for good is of unknown outcome.
    assert done.code == (4 if (command, user) == ("publish", READS_NOTHING) else 1)
    (said,) = done.err.splitlines()
    assert said.startswith("error: ")
    assert granted in said


@pytest.mark.parametrize(
    ("user", "password", "named"),
    [
        ("admin", "guessed", "TRUNKLINE_SASL_*"),
        (TOPICS_ONLY, "secret", "Read on group audit-service"),
        # The consumer and the readers of what is broadcast find it out at the same time; either may be first.
        (GROUPS_ONLY, "secret", "Describe on "),
        (READS_NOTHING, "secret", "grant its principal Read "),
        (READS_ALL_BUT_ONE, "secret", f"Read and Describe on {TOPIC}, or change its user"),
    ],
)
def test_a_service_that_is_not_let_in_ends_and_says_why(
    tmp_path: Path,
    guarded: KafkaCluster,
    log_in: Callable[..., list[str]],
    *,
    user: str,
    password: str,
    named: str,
) -> None:
    ended = service(tmp_path / "data", *log_in(guarded, user, password))
    assert ended.returncode == 1
    assert ended_with(ended).startswith("error: ")
    assert named in ended_with(ended)


def test_a_service_without_the_login_that_is_asked_for_says_so(tmp_path: Path, guarded: KafkaCluster) -> None:
    ended = service(tmp_path, "--bootstrap-servers", guarded.bootstrap_servers, *("--start-seconds", "3"))
    assert ended.returncode == 4
    assert "TRUNKLINE_SECURITY_PROTOCOL" in ended_with(ended)
    # A cluster that hangs up many times a second must not fill the log.
    assert len(ended.stderr.splitlines()) < 20
