"""The contract against a cluster."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import (
    Standing,
    check_reachable,
    ensure_topics,
    group_lag,
    topic_views,
)
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import ClusterUnavailable
from trunkline.client.kafka import admin
from trunkline.errors import InvalidInput
from trunkline.testing.processes import BrokerProcess


@pytest.fixture
def empty(broker_factory: Callable[..., BrokerProcess]) -> ConnectionOptions:
    return ConnectionOptions(bootstrap_servers=broker_factory().address)


def test_missing_topics_are_created_as_the_contract_says_and_a_second_time_nothing_changes(
    empty: ConnectionOptions, catalogue: Catalogue
) -> None:
    assert {view.standing for view in topic_views(empty, catalogue)} == {Standing.MISSING}
    created = ensure_topics(empty, catalogue, "development")
    assert [topic.name for topic in created] == list(catalogue.topics)
    assert {topic.standing for topic in created} == {Standing.CREATED}
    again = ensure_topics(empty, catalogue, "development")
    assert {(topic.standing, topic.differences) for topic in again} == {(Standing.EXISTING, ())}
    for view in topic_views(empty, catalogue):
        assert view.partitions == catalogue.partitions(view.name, "development")
        assert view.offsets == dict.fromkeys(range(view.partitions), (0, 0))


def test_a_topic_that_differs_is_reported_and_left_alone(
    connection: ConnectionOptions, catalogue: Catalogue
) -> None:
    name, topic = next(iter(catalogue.topics.items()))
    wider = replace(topic, partitions={**topic.partitions, "development": 12})
    longer = replace(catalogue.environment("development"), retention_ms=1)
    changed = replace(
        catalogue,
        topics={**catalogue.topics, name: wider},
        environments={**catalogue.environments, "development": longer},
    )
    first, *_ = ensure_topics(connection, changed, "development")
    assert first.standing is Standing.DIFFERENT
    assert first.differences == ("partitions: 3, contract 12", "retention.ms: 604800000, contract 1")
    assert topic_views(connection, catalogue)[0].partitions == 3


def test_an_unknown_environment_is_refused(connection: ConnectionOptions, catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="unknown environment"):
        ensure_topics(connection, catalogue, "staging")


def test_a_group_that_never_consumed_has_all_of_its_topics_before_it(
    connection: ConnectionOptions, catalogue: Catalogue
) -> None:
    assert group_lag(connection, catalogue) == []
    rows = group_lag(connection, catalogue, "billing-service")
    assert {row.topic for row in rows} == {topic.name for topic in catalogue.shared_by("billing-service")}
    assert {row.committed for row in rows} == {None}


def test_a_cluster_that_is_not_there_is_said_within_seconds_with_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin, "REPLY_SECONDS", 0.5)
    with pytest.raises(ClusterUnavailable, match=r"127\.0\.0\.1:1 .*TRUNKLINE_BOOTSTRAP_SERVERS"):
        check_reachable(ConnectionOptions(bootstrap_servers="127.0.0.1:1"))


def test_a_reachable_cluster_says_who_it_is(broker: BrokerProcess) -> None:
    assert check_reachable(ConnectionOptions(bootstrap_servers=broker.address)) == broker.info.cluster_id
