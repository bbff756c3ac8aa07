"""Reading a topic without a group."""

import threading
from collections.abc import Callable

import pytest

from trunkline.catalogue.events import Event
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
from trunkline.client.reader import TopicReader
from trunkline.errors import InvalidInput

TOPIC = "query.execution.events"


def test_what_exists_is_read_to_its_end_and_nothing_is_committed(
    connection: ConnectionOptions, publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant").encode()
    for _ in range(30):
        publisher.publish(event, tenant=tenant.decode())
    assert publisher.flush(10) == 0
    with TopicReader(connection, TOPIC) as reader:
        everything = [record for record in reader.existing() if record.key == tenant]
        last = [record for record in reader.existing(last=4) if record.key == tenant]
    assert len(everything) == 30
    assert [record.offset for record in everything] == sorted(record.offset for record in everything)
    assert last == everything[-4:]
    assert Admin(admin_config(connection)).committed("trunkline-reader") == {}


def test_following_shows_what_comes_until_it_is_stopped(
    connection: ConnectionOptions, publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    publisher.publish(event, tenant=unique("before")).result(10)
    tenant = unique("tenant")
    with TopicReader(connection, TOPIC) as reader:
        publisher.publish(event, tenant=tenant).result(10)
        seen = []
        for record in reader.following():
            seen.append(record.key)
            reader.stop()
        assert seen == [tenant.encode()]
        assert list(reader.existing()) == []


def test_stopping_from_another_thread_ends_the_wait(connection: ConnectionOptions) -> None:
    with TopicReader(connection, "ml.model.events") as reader:
        timer = threading.Timer(0.2, reader.stop)
        timer.start()
        assert list(reader.following()) == []
        timer.join()


def test_an_unknown_topic_is_refused(connection: ConnectionOptions) -> None:
    with pytest.raises(InvalidInput, match=r"no topic nowhere\.at\.all"):
        TopicReader(connection, "nowhere.at.all")
