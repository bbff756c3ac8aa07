"""The KafkaTopics beyond the contract's table: the backbone's own, and what ties them to the cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.text import documents
from trunkline.deploy.topics import topics
from trunkline.testing.kubernetes import problems

ENVIRONMENTS = ["development", "production"]


def rendered(environment: str) -> dict[str, Any]:
    """What a reader of the YAML gets, by name."""
    catalogue = load_catalogue()
    text = documents(topics(catalogue, environment, catalogue.cluster(environment)))
    return {found["metadata"]["name"]: found for found in yaml.safe_load_all(text)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_internal_topic_has_one_partition_and_its_own_retention(environment: str) -> None:
    found = rendered(environment)
    for internal in INTERNAL_TOPICS:
        spec = found[internal.name]["spec"]
        assert spec["partitions"] == 1
        assert str(spec["config"]["retention.ms"]) == internal.config["retention.ms"]
    assert len(found) == 10 + len(INTERNAL_TOPICS)


def test_internal_topics_survive_what_the_others_survive() -> None:
    kept = {
        (
            topic["spec"]["replicas"],
            topic["spec"]["config"]["min.insync.replicas"],
            topic["spec"]["config"]["max.message.bytes"],
        )
        for topic in rendered("production").values()
    }
    assert kept == {(3, 2, 1_048_588)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_number_is_one(environment: str) -> None:
    for topic in rendered(environment).values():
        for name in ("retention.ms", "max.message.bytes", "min.insync.replicas"):
            assert isinstance(topic["spec"]["config"][name], int)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_field_of_a_topic_is_unknown_to_strimzi(environment: str, schemas: Path) -> None:
    for topic in rendered(environment).values():
        assert problems(topic, schemas) == []


def test_a_topic_belongs_to_the_cluster_or_its_operator_would_ignore_it() -> None:
    cluster = load_catalogue().cluster("production")
    for topic in rendered("production").values():
        assert topic["metadata"]["labels"] == {"strimzi.io/cluster": cluster.name}
        assert topic["metadata"]["namespace"] == cluster.namespace
