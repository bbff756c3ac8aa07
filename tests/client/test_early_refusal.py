"""What the client refuses before anything is sent is what the cluster would deny, and nothing more."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import msgspec
import pytest

from trunkline.catalogue.access import READER_GROUP, Asset, Kind, Operation, decide
from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, reader_config
from trunkline.client.errors import NotPublisher
from trunkline.client.outbox import OUTBOX, Outbox
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, migrate

CATALOGUE: Final = load_catalogue()
NOWHERE: Final = ConnectionOptions(bootstrap_servers="127.0.0.1:1")


def one_of_each_topic() -> dict[str, Event]:
    declared = {declaration.topic: declaration for declaration in EVENT_TYPES.values()}
    return {
        topic: msgspec.convert(dict(declaration.example), declaration.cls)
        for topic, declaration in declared.items()
    }


def may_write(service: str, topic: str) -> bool:
    return decide(CATALOGUE, service, Operation.WRITE, Asset(Kind.TOPIC, topic)).allowed


@pytest.fixture(params=list(CATALOGUE.services))
def publisher(request: pytest.FixtureRequest) -> Iterator[Publisher]:
    with ExitStack() as opened:
        made = Publisher(service=request.param, connection=NOWHERE, catalogue=CATALOGUE)
        opened.callback(made.close, 0)
        yield made


def test_a_publisher_refuses_what_the_cluster_would_deny(publisher: Publisher) -> None:
    events = one_of_each_topic()
    assert events.keys() == set(CATALOGUE.topics)
    for topic, event in events.items():
        try:
            publisher.check(publisher.new_envelope(event, tenant="acme"))
            refused = False
        except NotPublisher:
            refused = True
        assert refused is not may_write(publisher.service, topic), (publisher.service, topic)


@pytest.mark.parametrize("service", CATALOGUE.services)
def test_an_outbox_refuses_what_the_cluster_would_deny(service: str, store: Store) -> None:
    migrate(store, OUTBOX)
    outbox = Outbox(service=service, catalogue=CATALOGUE)
    for topic, event in one_of_each_topic().items():
        with store.write() as tx:
            try:
                outbox.emit(tx, event, tenant="acme")
                refused = False
            except NotPublisher:
                refused = True
        assert refused is not may_write(service, topic), (service, topic)


@pytest.mark.parametrize("service", CATALOGUE.services)
def test_a_service_is_given_only_topics_that_the_cluster_lets_it_read(service: str) -> None:
    for topic in CATALOGUE.shared_by(service):
        assert decide(CATALOGUE, service, Operation.READ, Asset(Kind.TOPIC, topic.name)).allowed
        assert decide(CATALOGUE, service, Operation.READ, Asset(Kind.GROUP, service)).allowed


def test_a_reader_names_the_group_whose_coordinator_it_may_look_for() -> None:
    assert reader_config(NOWHERE)["group.id"] == READER_GROUP
