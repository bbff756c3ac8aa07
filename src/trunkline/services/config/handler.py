"""Takes in what is on the config topic: the service's own changes once more, and what others published.

So a store that was restored from an older backup learns what happened since, and no version is given twice.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events.config import (
    ConfigFlagChanged,
    ConfigSnapshotPublished,
    ConfigValueSet,
    ConfigValueUnset,
)
from trunkline.client.broadcast.entries import Rejected, change_of
from trunkline.client.handler import PermanentFailure, Received, Refusal
from trunkline.codec.record import Record
from trunkline.services.config import book, parts
from trunkline.services.config.book import Told

FROM_TOPIC: Final = "topic"
"""The origin of a change that this store did not make."""


class ConfigHandler:
    """A `client.handler.Handler`."""

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        book.lock(tx)
        told: list[Told] = []
        for received in events:
            try:
                if isinstance(received.event.data, ConfigSnapshotPublished):
                    parts.take(tx, received.event, received.event.data)
                else:
                    told.append(_told(received))
            except Rejected as error:
                raise PermanentFailure(f"{error.reason}: {error}") from error
        book.merge(tx, ((one.change, one.time, one.actor) for one in told))
        book.remember(tx, told, from_topic=True)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """What no instance can apply changes nothing here either."""


def _told(received: Received) -> Told:
    envelope = received.event
    event = envelope.data
    change = change_of(envelope)
    assert isinstance(event, (ConfigValueSet, ConfigValueUnset, ConfigFlagChanged))
    return Told(
        change=change,
        actor=event.actor_id,
        reason=event.reason,
        time=envelope.time,
        origin=FROM_TOPIC,
        event_id=envelope.id,
    )
