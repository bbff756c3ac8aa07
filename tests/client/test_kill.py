"""kill -9 of a consuming process at any point: every effect exactly once, in order."""

import random
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, failures
from trunkline.testing.consuming import CountingHandler, effects, eventually
from trunkline.testing.processes import BrokerProcess

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


@pytest.fixture(scope="module")
def connection(broker: BrokerProcess, catalogue: Catalogue) -> ConnectionOptions:
    """To a broker of this module's own: its groups begin at the beginning, where others leave bad records."""
    options = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(options, catalogue, "development")
    return options


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


def wait_for_effects(store: Store, tenant: str, number: int) -> None:
    eventually(lambda: len(effects(store, tenant=tenant)) >= number, seconds=40)
