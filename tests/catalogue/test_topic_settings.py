"""How every topic is kept."""

import pytest

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.errors import InvalidInput

CATALOGUE = load_catalogue()


def test_a_topic_of_the_contract_names_all_that_the_environment_promises() -> None:
    first = topic_settings(CATALOGUE, "production")[0]
    assert (first.name, first.partitions, first.replication_factor) == ("tenant.lifecycle.events", 6, 3)
    assert first.config == {
        "cleanup.policy": "delete",
        "compression.type": "snappy",
        "max.message.bytes": "1048588",
        "min.insync.replicas": "2",
        "retention.bytes": "-1",
        "retention.ms": str(30 * 24 * 3_600_000),
    }


def test_the_backbones_own_topics_come_last_with_one_partition_and_a_retention_of_their_own() -> None:
    settings = topic_settings(CATALOGUE, "production")
    assert [topic.name for topic in settings[:10]] == list(CATALOGUE.topics)
    for internal, found in zip(INTERNAL_TOPICS, settings[10:], strict=True):
        assert (found.name, found.partitions) == (internal.name, 1)
        assert found.config.items() >= internal.config.items()


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unknown environment 'staging'"):
        topic_settings(CATALOGUE, "staging")
