"""What brokers tell a principal about itself, on both engines."""

from collections.abc import Callable
from pathlib import Path

import confluent_kafka as ck
import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import ClusterUnavailable
from trunkline.client.kafka.survey import ABSENT, Survey, library_versions
from trunkline.testing.processes import BrokerProcess

TOPIC = "pipeline.job.events"


@pytest.fixture(scope="module")
def survey(engine: ConnectionOptions) -> Survey:
    ensure_topics(engine, load_catalogue(), "development")
    return Survey(admin_config(engine))


def is_embedded(survey: Survey) -> bool:
    return survey.cluster() == frozenset()


def test_topics_are_told_with_what_is_allowed(survey: Survey) -> None:
    told = survey.topics([TOPIC, "nowhere"])
    assert (told[TOPIC].partitions, told[TOPIC].replication_factor, told[TOPIC].code) == (3, 1, "")
    assert told["nowhere"].code in ABSENT
    operations = told[TOPIC].operations
    if is_embedded(survey):
        assert operations is None
    else:
        assert operations is not None
        assert operations >= {"Read", "Write", "DescribeConfigs"}


def test_a_group_that_there_is_not_is_dead_and_not_made(survey: Survey) -> None:
    assert survey.groups(["survey-nobody"])["survey-nobody"].state == "DEAD"
    assert survey.groups(["survey-nobody"])["survey-nobody"].state == "DEAD"


def test_nothing_asked_is_nothing_told(survey: Survey) -> None:
    assert survey.topics([]) == {}
    assert survey.groups([]) == {}
    assert survey.newest([]) == {}


def test_the_times_of_the_newest_and_the_oldest_record(survey: Survey, engine: ConnectionOptions) -> None:
    producer = ck.Producer({"bootstrap.servers": engine.bootstrap_servers})
    for timestamp in (1_700_000_000_000, 1_700_000_009_000, 1_700_000_005_000):
        producer.produce("ml.model.events", b"", partition=2, timestamp=timestamp)
    assert producer.flush(20) == 0
    keys = [("ml.model.events", number) for number in range(3)]
    assert survey.newest(keys)["ml.model.events", 2] == 1_700_000_009_000
    assert survey.oldest(keys)["ml.model.events", 2] == 1_700_000_000_000


def test_users_with_passwords_are_told_where_there_can_be_any(survey: Survey) -> None:
    assert survey.scram_users() == (None if is_embedded(survey) else frozenset())


@pytest.mark.slow
def test_groups_are_not_complete_while_the_broker_that_has_them_is_silent(
    broker_factory: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    with broker_factory(tmp_path / "whole") as broker:
        whole = Survey(admin_config(ConnectionOptions(bootstrap_servers=broker.address)))
        assert whole.group_names() == ((), True)
    with broker_factory(tmp_path / "silent", "--advertised", "127.0.0.1:1") as broker:
        partial = Survey(admin_config(ConnectionOptions(bootstrap_servers=broker.address)))
        assert partial.group_names() == ((), False)


@pytest.mark.slow
def test_a_cluster_that_is_away_is_unavailable() -> None:
    away = Survey(admin_config(ConnectionOptions(bootstrap_servers="127.0.0.1:1")))
    with pytest.raises(ClusterUnavailable):
        away.topics([TOPIC])


def test_the_libraries_tell_their_versions() -> None:
    assert set(library_versions()) == {"librdkafka", "confluent-kafka"}
