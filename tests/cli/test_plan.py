"""`trunkline plan` as a person and a script see it, and the mistakes that it shares with `apply`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.testing.processes import BrokerProcess

Trunkline = Callable[..., Any]


@pytest.fixture
def applied(trunkline: Trunkline, broker_factory: Callable[..., BrokerProcess]) -> str:
    """The address of a cluster as the catalogue says."""
    address = broker_factory().address
    assert trunkline("apply", "-e", "development", "-b", address).code == 0
    return address


def test_drift_is_told_with_its_risk_and_exits_3(trunkline: Trunkline, applied: str) -> None:
    admin = Admin(admin_config(ConnectionOptions(bootstrap_servers=applied)))
    admin.configure("query.execution.events", {"retention.ms": "1000"})
    ran = trunkline("plan", "-e", "development", "-b", applied)
    assert ran.code == 3
    heading, change, why = ran.out.splitlines()
    assert heading == "development: 1 change, at worst safe"
    assert change.split() == [
        "safe", "alter", "topic", "query.execution.events", "retention.ms:", "1000", "->", "604800000"
    ]  # fmt: skip
    assert "no record goes earlier" in why
    assert "no ACL was compared" in ran.err

    told = trunkline("plan", "-e", "development", "-b", applied, "--json")
    assert told.code == 3
    assert (told.json()["drift"], told.json()["risk"]) == (True, "safe")
    assert [change["field"] for change in told.json()["changes"]] == ["retention.ms"]


def test_no_drift_is_said_in_a_line_and_exits_0(trunkline: Trunkline, applied: str) -> None:
    ran = trunkline("plan", "-e", "development", "-b", applied)
    assert (ran.code, ran.out) == (0, "development: as the catalogue says\n")


@pytest.mark.parametrize("command", ["plan", "apply"])
@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("-e", "staging"), 2, "unknown environment 'staging'"),
        (("-e", "production", "--principal", "CN={name}"), 2, "begins with User:"),
        (("-e", "production", "--known", "admin"), 2, "begins with User: and has a name"),
        (("-e", "production", "--known", "User:CN=audit-service"), 2, "the catalogue has it"),
        (("-e", "production", "-b", "127.0.0.1:1"), 4, "no Kafka broker answers at 127.0.0.1:1"),
        ((), 2, "--environment"),
    ],
)
def test_a_mistake_is_one_line(
    trunkline: Trunkline, command: str, options: tuple[str, ...], code: int, sentence: str
) -> None:
    ran = trunkline(command, *options)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_rendered_directory_is_as_the_catalogue_says_until_somebody_edits_it(
    trunkline: Trunkline, tmp_path: Path
) -> None:
    assert trunkline("render", "-e", "production", "-o", str(tmp_path)).code == 0
    offline = ("plan", "-e", "production", "--offline", "--manifests", str(tmp_path))
    assert trunkline(*offline).code == 0
    topics = tmp_path / "overlays" / "production" / "topics.yaml"
    text = topics.read_text(encoding="utf-8")
    topics.write_text(text.replace("partitions: 6", "partitions: 12", 1), encoding="utf-8")
    ran = trunkline(*offline, "--json")
    assert ran.code == 3
    (change,) = ran.json()["changes"]
    assert (change["layer"], change["kind"], change["field"]) == ("resource", "KafkaTopic", "spec.partitions")


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--offline",), 2, "leaves nothing to compare with"),
        (("--offline", "--manifests", "missing"), 2, "missing: there is no such file or directory"),
        (("--kubernetes", "--manifests", "x"), 2, "not both"),
        (("--offline", "--kubernetes", "--kubeconfig", "missing"), 2, "kubeconfig missing"),
        (("--offline", "--kubernetes", "--kubeconfig", "a:b"), 2, "several files"),
    ],
)
def test_where_resources_are_is_said_once_and_right(
    trunkline: Trunkline, options: tuple[str, ...], code: int, sentence: str
) -> None:
    ran = trunkline("plan", "-e", "production", *options)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
