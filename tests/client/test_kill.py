"""kill -9 of a consuming process at any point: every effect exactly once, in order."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, failures
from trunkline.testing.consuming import CountingHandler, effects, eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.processes import BrokerProcess

ENGINES = ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)]
SESSION_MS = 6_000
"""The shortest that Kafka allows; a killed member's partitions are free after this long."""

CONSUMER = """
import sys
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import open_store
from trunkline.testing.consuming import CountingHandler

servers, url, group, session_ms = sys.argv[1:]
store = open_store(url)
ConsumerRuntime(
    service=group,
    topics=["query.execution.events"],
    handler=CountingHandler(store),
    store=store,
    connection=ConnectionOptions(bootstrap_servers=servers),
    options=ConsumerOptions(group=group, session_timeout_ms=int(session_ms)),
).run()
"""

DYING_CONSUMER = """
import os
import signal
import sys
from contextlib import contextmanager
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import open_store
from trunkline.testing.consuming import CountingHandler

servers, url, group, session_ms = sys.argv[1:]
store = open_store(url)
handler = CountingHandler(store)
write = store.write

@contextmanager
def write_and_die():
    with write() as tx:
        yield tx
    if handler.batches:
        os.kill(os.getpid(), signal.SIGKILL)

store.write = write_and_die
ConsumerRuntime(
    service=group,
    topics=["query.execution.events"],
    handler=handler,
    store=store,
    connection=ConnectionOptions(bootstrap_servers=servers),
    options=ConsumerOptions(group=group, session_timeout_ms=int(session_ms)),
).run()
"""
"""Kills itself when the first batch is in the store and Kafka has not been told."""


@pytest.fixture(scope="module", params=ENGINES)
def connection(request: pytest.FixtureRequest, catalogue: Catalogue) -> Iterator[ConnectionOptions]:
    """To a cluster of this module's own: its groups begin at the beginning, as others leave bad records."""
    with ExitStack() as running:
        if request.param == "kafka":
            home = request.getfixturevalue("kafka_home")
            directory = request.getfixturevalue("tmp_path_factory").mktemp("kafka")
            options = running.enter_context(KafkaCluster(directory, kafka_home=home)).connection()
        else:
            process: BrokerProcess = request.getfixturevalue("broker")
            options = ConnectionOptions(bootstrap_servers=process.address)
        ensure_topics(options, catalogue, "development")
        yield options


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_every_effect_happens_once_however_often_the_consumer_is_killed(
    *,
    seed: int,
    connection: ConnectionOptions,
    publisher: Publisher,
    event: Event,
    store: Store,
    unique: Callable[[str], str],
) -> None:
    chance = random.Random(seed)
    group, tenant = unique("group"), unique("tenant")
    CountingHandler(store)  # makes the table
    sent: list[str] = []
    done = threading.Event()

    def publish() -> None:
        while not done.wait(0.001):
            sent.append(publisher.publish(event, tenant=tenant).event_id)

    feeding = threading.Thread(target=publish)
    feeding.start()
    consumer = [
        sys.executable,
        "-c",
        CONSUMER,
        connection.bootstrap_servers,
        store.url,
        group,
        str(SESSION_MS),
    ]
    for kills_left in range(2, -1, -1):
        process = subprocess.Popen(consumer, stdout=subprocess.DEVNULL)
        try:
            wait_for_effects(store, tenant, len(effects(store, tenant=tenant)) + chance.randrange(1, 200))
            if not kills_left:
                done.set()
                feeding.join()
                assert publisher.flush(20) == 0
                wait_for_effects(store, tenant, len(sent))
        finally:
            process.kill()
            process.wait()
    done.set()
    feeding.join()
    assert [effect.event_id for effect in effects(store, tenant=tenant)] == sent
    with store.read() as tx:
        assert failures.listed(tx, group=group) == []


@pytest.mark.slow
def test_what_is_in_the_store_and_was_not_told_to_kafka_does_not_happen_again(
    *,
    connection: ConnectionOptions,
    publisher: Publisher,
    event: Event,
    store: Store,
    unique: Callable[[str], str],
) -> None:
    group, tenant = unique("group"), unique("tenant")
    CountingHandler(store)  # makes the table
    sent = [publisher.publish(event, tenant=tenant).event_id for _ in range(20)]
    assert publisher.flush(20) == 0
    arguments = [connection.bootstrap_servers, store.url, group, str(SESSION_MS)]
    dying = [sys.executable, "-c", DYING_CONSUMER, *arguments]
    assert subprocess.run(dying, stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    assert effects(store) != []
    assert Admin(admin_config(connection)).committed(group) == {}
    process = subprocess.Popen([sys.executable, "-c", CONSUMER, *arguments], stdout=subprocess.DEVNULL)
    try:
        wait_for_effects(store, tenant, len(sent))
        eventually(lambda: Admin(admin_config(connection)).committed(group) != {})
    finally:
        process.kill()
        process.wait()
    assert [effect.event_id for effect in effects(store, tenant=tenant)] == sent


def wait_for_effects(store: Store, tenant: str, number: int) -> None:
    eventually(lambda: len(effects(store, tenant=tenant)) >= number, seconds=40)
