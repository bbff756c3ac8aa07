"""What is rendered equals the contract line by line; the contract is read here from where it was agreed on.

Nothing of the code says what to expect: the table is read from the design, the manifests from the YAML.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.kafka import kafka
from trunkline.deploy.node_pools import node_pools
from trunkline.deploy.text import documents
from trunkline.deploy.topics import topics
from trunkline.deploy.users import users

DESIGN = Path(__file__).parents[3] / "shared" / "DESIGN.md"
ENVIRONMENTS = ("development", "production")
DAY_MS = 24 * 60 * 60 * 1000
MEGABYTE = 1_048_588
"""The contract's 1 MB as Kafka counts it: 1 MiB of record batch, and the 12 bytes of its log overhead."""


@dataclass(frozen=True, slots=True)
class Promised:
    """One environment's column of the table of the cluster."""

    brokers: int
    replicas: int
    in_sync: int
    retention_ms: int
    compression: str
    bytes_max: int
    default_partitions: int


@pytest.fixture(scope="module")
def contract() -> str:
    """The contract in words and tables."""
    if not DESIGN.is_file():
        pytest.skip(f"the contract's tables are not at hand: {DESIGN} is not there")
    text = DESIGN.read_text(encoding="utf-8")
    return text[text.index("## 1. The contract") : text.index("## 2.")]


def rows(contract: str, columns: int) -> Iterator[list[str]]:
    """The cells of each line of the table that has so many columns; its first line is the heading."""
    for line in contract.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and not set(line) <= set("|- ") and len(cells) == columns:
            yield cells


def promised(contract: str, environment: str) -> Promised:
    column = 1 + ENVIRONMENTS.index(environment)
    heading, *lines = rows(contract, 3)
    assert heading[column] == environment
    said = {re.sub(r" \(.*\)", "", line[0]): line[column] for line in lines}
    assert said["deployment"] == "Strimzi"
    assert re.fullmatch(r"[0-9]+ days", said["retention"])
    assert re.fullmatch(r"[0-9]+ MB", said["max message size"])
    return Promised(
        brokers=int(said["brokers"]),
        replicas=int(said["replication factor"]),
        in_sync=int(said["min in-sync replicas"]),
        retention_ms=int(said["retention"].removesuffix(" days")) * DAY_MS,
        compression=said["compression"],
        bytes_max=int(said["max message size"].removesuffix(" MB")) * MEGABYTE,
        default_partitions=int(said["default partitions"]),
    )


def principals(cell: str, all_services: set[str]) -> set[str]:
    """The services of a cell by their principals: `Tenant Service`, `Query Engine`, or `Audit` for short."""
    if cell == "all services":
        return all_services
    names = (name.strip().lower().replace(" ", "-") for name in cell.split(","))
    return {name if name.endswith(("-service", "-engine")) else f"{name}-service" for name in names}


def rendered(environment: str, kind: str) -> list[dict[str, Any]]:
    """What a reader of the YAML gets."""
    catalogue = load_catalogue()
    cluster = catalogue.cluster(environment)
    made = [
        *kafka(catalogue, environment, cluster),
        *node_pools(catalogue, environment, cluster),
        *topics(catalogue, environment, cluster),
        *users(catalogue, environment, cluster),
    ]
    return [found for found in yaml.safe_load_all(documents(made)) if found["kind"] == kind]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_topic_is_as_its_line_says(contract: str, environment: str) -> None:
    said = promised(contract, environment)
    _, *lines = rows(contract, 4)
    assert len(lines) == 10
    expected = {
        topic: {
            "partitions": int(partitions) if environment == "production" else said.default_partitions,
            "replicas": said.replicas,
            "config": {
                "cleanup.policy": "delete",
                "compression.type": said.compression,
                "max.message.bytes": said.bytes_max,
                "min.insync.replicas": said.in_sync,
                # The contract knows no other end of a record than its time.
                "retention.bytes": -1,
                "retention.ms": said.retention_ms,
            },
        }
        for topic, _, _, partitions in lines
    }
    found = {topic["metadata"]["name"]: topic["spec"] for topic in rendered(environment, "KafkaTopic")}
    assert {name: spec for name, spec in found.items() if not name.startswith("trunkline.")} == expected


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_there_are_as_many_brokers_as_the_contract_says(contract: str, environment: str) -> None:
    brokers = sum(
        pool["spec"]["replicas"]
        for pool in rendered(environment, "KafkaNodePool")
        if "broker" in pool["spec"]["roles"]
    )
    assert brokers == promised(contract, environment).brokers


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_brokers_default_is_the_contract_too(contract: str, environment: str) -> None:
    said = promised(contract, environment)
    [found] = rendered(environment, "Kafka")
    config = found["spec"]["kafka"]["config"]
    assert config["default.replication.factor"] == said.replicas
    assert config["min.insync.replicas"] == said.in_sync
    assert config["log.retention.ms"] == said.retention_ms
    assert config["compression.type"] == said.compression
    assert config["message.max.bytes"] == said.bytes_max
    assert config["num.partitions"] == said.default_partitions


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_who_may_write_and_read_a_topic_are_its_publisher_and_its_consumers(
    contract: str, environment: str
) -> None:
    _, *lines = rows(contract, 4)
    services = {
        name
        for _, publisher, consumers, _ in lines
        for cell in (publisher, consumers)
        for name in principals(cell, set())
    }
    assert len(services) == 13
    expected = {
        (topic, operation, name)
        for topic, publisher, consumers, _ in lines
        for operation, cell in (("Write", publisher), ("Read", consumers))
        for name in principals(cell, services)
    }
    topics_of_contract = {topic for topic, *_ in lines}
    granted = {
        (acl["resource"]["name"], operation, user["metadata"]["name"])
        for user in rendered(environment, "KafkaUser")
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
        if acl["resource"]["type"] == "topic"
        if acl["resource"]["name"] in {*topics_of_contract, "*"} or acl["resource"]["patternType"] == "prefix"
        if operation in ("Write", "Read", "All")
    }
    # Reads the time of a group's next record, to tell how long it has waited.
    assert granted - expected == {(topic, "Read", "trunkline-exporter") for topic in topics_of_contract}
    assert expected <= granted
