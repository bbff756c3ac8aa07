"""Consumers under test: a handler whose effects can be counted, and a runtime on a thread of its own.

with running(ConsumerRuntime(..., handler=handler)) as runtime:
    publisher.publish(...)
    eventually(lambda: len(handler.effects(store)) == 1)
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert, select

from trunkline.client.handler import Received, Refusal
from trunkline.client.loop import ConsumerLoop
from trunkline.client.store import Store
from trunkline.codec import Record

WAIT_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.01

Loop = TypeVar("Loop", bound=ConsumerLoop)

_METADATA: Final = MetaData()
# Deliberately without a unique key on the event: an effect that happens twice must show.
_EFFECT: Final = Table(
    "effect",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("tenantid", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", Integer, nullable=False),
)


class Effect(NamedTuple):
    """One event that took effect, in the order of the effects."""

    tenantid: str
    event_id: str
    partition: int
    offset: int


class CountingHandler:
    """Writes one row for each event it handles. `objection` may say why an event fails, by the exception."""

    def __init__(
        self, store: Store, *, objection: Callable[[Received], Exception | None] | None = None
    ) -> None:
        self.refusals: list[tuple[Record, Refusal]] = []
        self.batches: list[int] = []
        self._objection = objection
        with store.write() as tx:
            _METADATA.create_all(tx)

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        """See `Handler`."""
        self.batches.append(len(events))
        for received in events:
            if self._objection is not None and (error := self._objection(received)) is not None:
                raise error
            tx.execute(
                insert(_EFFECT).values(
                    tenantid=received.event.tenantid,
                    event_id=received.event.id,
                    partition=received.record.partition,
                    offset=received.record.offset,
                )
            )

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002 - as in Handler
        """See `Handler`."""
        self.refusals.append((record, refusal))


def effects(store: Store, *, tenant: str | None = None) -> list[Effect]:
    """What took effect so far."""
    query = select(_EFFECT.c.tenantid, _EFFECT.c.event_id, _EFFECT.c.partition, _EFFECT.c.offset)
    if tenant is not None:
        query = query.where(_EFFECT.c.tenantid == tenant)
    with store.read() as tx:
        return [Effect(*row) for row in tx.execute(query.order_by(_EFFECT.c.number))]


@contextmanager
def running(runtime: Loop, *, wait: bool = True) -> Iterator[Loop]:
    """Run it on a thread and stop it at the end. Raises what it raised, rather than what followed."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            runtime.run()
        except BaseException as error:  # noqa: BLE001 - handed to the test below, whatever it is
            raised.append(error)

    thread = threading.Thread(target=run, name="consumer-under-test")
    thread.start()
    try:
        if wait:
            eventually(lambda: bool(raised) or runtime.wait_started(POLL_SECONDS))
        yield runtime
    finally:
        runtime.stop()
        thread.join()
        if raised:
            raise raised[0]


def eventually(condition: Callable[[], bool], *, seconds: float = WAIT_SECONDS) -> None:
    """Wait until a condition holds. Raises `AssertionError` if it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds:g} s")
        time.sleep(POLL_SECONDS)
