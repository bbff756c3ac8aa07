"""Publishes snapshots of the configuration well within the topic's retention; for the Config Service."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from trunkline.catalogue.model import Environment
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.broadcast.entries import Entry, Name
from trunkline.client.broadcast.snapshot import snapshot_events
from trunkline.client.delivery import Delivery
from trunkline.client.log import Log
from trunkline.client.publisher import Publisher
from trunkline.codec import derive_id
from trunkline.errors import InvalidInput

SNAPSHOT_SECONDS: Final = 6 * 3_600.0
RETENTION_SHARE_MAX: Final = 8
"""A snapshot is repeated so many times at least before retention deletes the first."""

RETRY_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 130.0
"""Longer than the publisher takes to give up on an event."""

_log = Log("trunkline.broadcast")


class SnapshotPublisher:
    """A thread that publishes everything on record, at its start and from then on every so often."""

    def __init__(
        self,
        publisher: Publisher,
        entries: Callable[[], Mapping[Name, Entry]],
        *,
        environment: Environment,
        every_seconds: float = SNAPSHOT_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`entries` is called on this thread and gives a mapping that does not change meanwhile.

        Raises `InvalidInput` when so rare a snapshot could be forgotten before the next one is there.
        """
        longest = environment.retention_ms / 1_000 / RETENTION_SHARE_MAX
        if every_seconds > longest:
            raise InvalidInput(
                f"a snapshot every {every_seconds:g} s is too rare for the retention of {environment.name}; "
                f"publish one every {longest:g} s at least"
            )
        self._publisher = publisher
        self._entries = entries
        self._every_seconds = every_seconds
        self._wall = wall
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config-snapshots", daemon=True)

    def start(self) -> None:
        """Publish the first one now."""
        self._thread.start()

    def stop(self) -> None:
        """Publish no more."""
        self._stopping.set()
        self._thread.join()

    def publish(self) -> str:
        """Publish one snapshot, wait until all of it is in the log, and return its id.

        Raises what the publisher raises; instances ignore a snapshot that is not whole.
        """
        version = int(self._wall() * 1000)
        snapshot_id = f"snap-{version}"
        deliveries: list[Delivery] = [
            self._publisher.publish(
                part, tenant=SYSTEM_TENANT, id=derive_id(self._publisher.source, snapshot_id, str(part.part))
            )
            for part in snapshot_events(self._entries(), snapshot_id=snapshot_id, version=version)
        ]
        for delivery in deliveries:
            delivery.result(SETTLE_SECONDS)
        return snapshot_id

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            try:
                self.publish()
                wait = self._every_seconds
            except Exception as error:  # noqa: BLE001 - without snapshots retention deletes the configuration
                _log.error("config snapshot not published, trying again", error=str(error) or repr(error))
                wait = min(RETRY_SECONDS, self._every_seconds)
