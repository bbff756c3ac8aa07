"""What an instance says about itself, and when it cannot."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from trunkline.catalogue.events.config import TOPIC
from trunkline.catalogue.internal import BROADCAST_POSITIONS
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.acknowledgement import Acknowledgement, decode_acknowledgement
from trunkline.client.broadcast.herald import CHANGE_SECONDS, UNSENT_MAX, Herald
from trunkline.client.config import ConnectionOptions
from trunkline.client.reader import TopicReader
from trunkline.testing.processes import BrokerProcess


def said(*, entries: int, stopped: bool = False) -> Acknowledgement:
    return Acknowledgement(
        service="query-engine",
        instance="1",
        topic=TOPIC,
        topic_id="one",
        positions={},
        digest="a" * 64,
        entries=entries,
        rejected=0,
        last_rejected=None,
        stale=False,
        stopped=stopped,
        at=datetime.now(UTC),
    )


def heard(connection: ConnectionOptions) -> list[Acknowledgement]:
    with TopicReader(connection, BROADCAST_POSITIONS.name) as reader:
        found = [decode_acknowledgement(record) for record in reader.existing()]
    return [one for one in found if one is not None]


def test_the_last_word_is_heard_even_where_those_before_could_not_be_sent(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue
) -> None:
    broker = broker_factory()
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, catalogue, "development")
    herald = Herald(connection, monotonic=time.monotonic)
    herald.say(said(entries=0), None)
    broker.kill()
    for number in range(2 * UNSENT_MAX):
        herald.say(said(entries=number), None)
    broker.restart()
    herald.close(said(entries=99, stopped=True))
    assert heard(connection)[-1].stopped


def test_while_nobody_listens_little_is_kept_and_what_was_left_out_is_due_as_a_change_is() -> None:
    now = [0.0]
    herald = Herald(ConnectionOptions(bootstrap_servers="127.0.0.1:1"), monotonic=lambda: now[0])
    for number in range(UNSENT_MAX + 1):
        now[0] += CHANGE_SECONDS
        assert herald.due(number)
        herald.say(said(entries=number), number)
        assert not herald.due(number)
    # What the library has to say of the broker counts, too, until it is heard.
    assert herald.unsent >= UNSENT_MAX
    now[0] += CHANGE_SECONDS
    assert herald.due(UNSENT_MAX)
    began = time.monotonic()
    herald.close(said(entries=99, stopped=True))
    assert time.monotonic() - began < 10
