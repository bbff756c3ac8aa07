"""Events that a consumer's handler adds: effect, event and position are one transaction, whatever dies."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from trunkline.catalogue.events import Event
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import rows
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, migrate
from trunkline.testing.consuming import CountingHandler, effects, eventually

EVENTS: Final = 20
DEADLY: Final = 11
"""The event in whose handling the process is killed."""

CONSUMER: Final = """
import os, signal, sys
from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.outbox import Outbox
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import open_store
from trunkline.testing.consuming import CountingHandler
import msgspec

servers, url, group, tenant, deadly, point = sys.argv[1:]
store = open_store(url)
outbox = Outbox(service="query-engine", catalogue=load_catalogue(None))
kind = EVENT_TYPES["query.completed.v1"]


def die(received, at):
    if received.event.id == deadly and point == at:
        os.kill(os.getpid(), signal.SIGKILL)


class Handler(CountingHandler):
    def handle(self, tx, events):
        for received in events:
            if received.event.tenantid != tenant:
                continue
            super().handle(tx, [received])
            die(received, "after the effect")
            outbox.emit(
                tx,
                msgspec.convert(dict(kind.example), kind.cls),
                tenant=f"{tenant}-out",
                id=received.event.id,
            )
            die(received, "after the event")


ConsumerRuntime(
    service=group,
    topics=["query.execution.events"],
    handler=Handler(store),
    store=store,
    connection=ConnectionOptions(bootstrap_servers=servers),
    options=ConsumerOptions(group=group, session_timeout_ms=6_000),
    failures_in_a_row_max=0,  # other tests leave what is no event on a shared cluster
).run()
"""


@pytest.mark.slow  # the group waits for the session of the one that was killed
@pytest.mark.parametrize("point", ["after the effect", "after the event"])
def test_a_consumer_killed_in_its_handler_leaves_both_or_neither_and_the_next_one_makes_it_whole(
    connection: ConnectionOptions,
    publisher: Publisher,
    event: Event,
    *,
    store: Store,
    unique: Callable[[str], str],
    point: str,
) -> None:
    migrate(store)
    CountingHandler(store)  # makes the table
    group, tenant = unique("group"), unique("tenant")

    def consume(point: str) -> subprocess.Popen[bytes]:
        arguments = [connection.bootstrap_servers, store.url, group, tenant, sent[DEADLY], point]
        return subprocess.Popen([sys.executable, "-c", CONSUMER, *arguments])

    def took_effect() -> list[str]:
        return [effect.event_id for effect in effects(store, tenant=tenant)]

    def added() -> list[str]:
        with store.read() as tx:
            return [row.id for row in rows.heads(tx, [f"{tenant}-out"])]

    sent = [publisher.publish(event, tenant=tenant).event_id for _ in range(EVENTS)]
    assert publisher.flush(20) == 0
    assert consume(point).wait(30) == -signal.SIGKILL
    assert sent[DEADLY] not in took_effect()
    assert added() == took_effect()
    process = consume("never")
    try:
        eventually(lambda: len(took_effect()) >= EVENTS, seconds=40)
    finally:
        process.kill()
        process.wait()
    assert took_effect() == added() == sent
