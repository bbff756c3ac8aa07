"""The KafkaTopics: the contract's table, line by line, and what the backbone keeps for itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.text import documents
from trunkline.deploy.topics import topics
from trunkline.testing.kubernetes import problems

DESIGN = Path(__file__).parents[3] / "shared" / "DESIGN.md"
ENVIRONMENTS = ("development", "production")
DAY_MS = 24 * 60 * 60 * 1000
MEGABYTE = 1_048_588
"""The contract's 1 MB as Kafka counts it: 1 MiB of record batch, and the 12 bytes of its log overhead."""


@pytest.fixture(scope="module")
def contract() -> str:
    """The contract as it was agreed on, in words."""
    if not DESIGN.is_file():
        pytest.skip(f"the contract's table is not at hand: {DESIGN} is not there")
    text = DESIGN.read_text(encoding="utf-8")
    return text[text.index("## 1. The contract") : text.index("## 2.")]


def rows(contract: str) -> Iterator[list[str]]:
    """The cells of each line of its tables."""
    for line in contract.splitlines():
        if line.startswith("|") and not set(line) <= set("|- "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def promised(contract: str, environment: str) -> dict[str, str]:
    """The table of the cluster: one environment's column, by the name of the row."""
    column = 1 + ENVIRONMENTS.index(environment)
    return {row[0]: row[column] for row in rows(contract) if len(row) == 3}


def number(text: str) -> int:
    found = re.match(r"[0-9]+", text)
    assert found is not None, text
    return int(found[0])


def rendered(environment: str) -> dict[str, Any]:
    """What a reader of the YAML gets, by name."""
    catalogue = load_catalogue()
    text = documents(topics(catalogue, environment, catalogue.cluster(environment)))
    return {found["metadata"]["name"]: found for found in yaml.safe_load_all(text)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_topic_is_as_the_contract_says_line_by_line(contract: str, environment: str) -> None:
    said = promised(contract, environment)
    default = number(said["default partitions (not fixed by the user; from the platform's public pages)"])
    lines = [row for row in rows(contract) if len(row) == 4 and row[0] != "topic"]
    assert len(lines) == 10
    expected = {
        topic: {
            "partitions": int(partitions) if environment == "production" else default,
            "replicas": number(said["replication factor"]),
            "config": {
                "cleanup.policy": "delete",
                "compression.type": said["compression"],
                "max.message.bytes": number(said["max message size"]) * MEGABYTE,
                "min.insync.replicas": number(said["min in-sync replicas"]),
                "retention.ms": number(said["retention"]) * DAY_MS,
            },
        }
        for topic, _, _, partitions in lines
    }
    found = {name: topic["spec"] for name, topic in rendered(environment).items()}
    assert {name: spec for name, spec in found.items() if not name.startswith("trunkline.")} == expected


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_internal_topic_has_one_partition_and_its_own_retention(environment: str) -> None:
    found = rendered(environment)
    for internal in INTERNAL_TOPICS:
        spec = found[internal.name]["spec"]
        assert spec["partitions"] == 1
        assert str(spec["config"]["retention.ms"]) == internal.config["retention.ms"]
    assert len(found) == 10 + len(INTERNAL_TOPICS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_field_of_a_topic_is_unknown_to_strimzi(environment: str, schemas: Path) -> None:
    for topic in rendered(environment).values():
        assert problems(topic, schemas) == []


def test_a_topic_belongs_to_the_cluster_or_its_operator_would_ignore_it() -> None:
    cluster = load_catalogue().cluster("production")
    for topic in rendered("production").values():
        assert topic["metadata"]["labels"] == {"strimzi.io/cluster": cluster.name}
        assert topic["metadata"]["namespace"] == cluster.namespace
