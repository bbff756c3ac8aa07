"""Follows an internal topic from its beginning, for as long as a service runs.

The topics that are read so hold a few records a tenant and are kept for ever, so every start reads them
whole and nothing is committed: whoever acts on a record asks its store whether it has done so before.
"""

import threading
from collections.abc import Callable
from typing import Final

from trunkline.client.backoff import Backoff
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import TopicMissing
from trunkline.client.log import Log
from trunkline.client.reader import TopicReader
from trunkline.codec.record import Record

RETRY: Final = Backoff(first=0.5, longest=10.0)
"""Waits between attempts while the cluster, the store or the topic is away."""

_log = Log("trunkline.ending")


class Following:
    """A `services.app.Companion`. `heard` is called for every record, on its thread, and may be called for
    one again; what it raises makes it start over from the beginning of the topic."""

    def __init__(self, connection: ConnectionOptions, topic: str, heard: Callable[[Record], None]) -> None:
        self._connection = connection
        self._topic = topic
        self._heard = heard
        self._reader: TopicReader | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._current = threading.Event()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"following-{topic}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more. Safe to call twice, and without `start`."""
        self._stopping.set()
        with self._lock:
            if self._reader is not None:
                self._reader.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def wait_current(self, seconds: float) -> bool:
        """Wait until everything was heard that was in the topic at the start; False after the time-out.

        A cluster that has no such topic has nothing to tell: then it does not wait, and `trouble` says so.
        """
        return self._current.wait(seconds)

    @property
    def trouble(self) -> str | None:
        """Why the topic cannot be followed right now, as a sentence."""
        return self._trouble

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._follow()
                failures = 0
            except TopicMissing as error:
                self._tell(str(error))
                self._current.set()
                failures += 1
            except Exception as error:  # noqa: BLE001 - who follows no more would keep what has to go
                self._tell(f"{self._topic} cannot be followed: {error!r}")
                failures += 1
            self._stopping.wait(RETRY.wait(max(1, failures)))

    def _follow(self) -> None:
        with TopicReader(self._connection, self._topic) as reader:
            with self._lock:
                self._reader = reader
                if self._stopping.is_set():
                    return
            try:
                for record in reader.existing():
                    self._heard(record)
                if self._stopping.is_set():
                    return
                self._trouble = None
                self._current.set()
                for record in reader.following():
                    self._heard(record)
            finally:
                with self._lock:
                    self._reader = None

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.warning("an internal topic cannot be followed", topic=self._topic, error=trouble)
        self._trouble = trouble
