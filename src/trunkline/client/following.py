"""Follows a whole topic in every instance: all partitions from their beginning, no group, nothing committed.

    follower = TopicFollower(connection, "governance.policy.events", copy, what="the policies")
    follower.start()

The follower has the thread, the consumer and the look at the cluster; what the records add up to is a `Copy`,
which is sans-IO and so knows by itself whether it is up to date: see `broadcast.course`. Whatever fails, the
follower begins again from the start of the topic, for as long as it takes.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from trunkline.client import diagnosis
from trunkline.client.backoff import Backoff
from trunkline.client.broadcast.course import NEVER, Assignment, Sighting
from trunkline.client.broadcast.watch import Watch
from trunkline.client.config import ConnectionOptions, reader_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Consumer
from trunkline.client.log import Log
from trunkline.client.trouble import Trouble
from trunkline.codec.record import Record

POLL_RECORDS_MAX: Final = 500
POLL_SECONDS: Final = 0.1
STOP_SECONDS: Final = 1.0
"""How long an answer of the cluster that nobody needs any more is waited for."""


class Copy(Protocol):
    """What is made of a topic. All methods are called by the follower's thread, and by no other."""

    def start_over(self) -> None:
        """The consumer is a new one: the next sighting begins at the beginning."""

    def seen(self, sighting: Sighting) -> Assignment | None:
        """The cluster was asked; returns what to read from now on if that has changed."""

    def read(self, records: Sequence[Record], ends: Mapping[int, int]) -> None:
        """These came, and then the ends of these partitions, at these offsets."""

    def turned(self) -> None:
        """A turn has ended, whether or not anything came; at the latest every `POLL_SECONDS`."""

    def ended(self) -> None:
        """The follower was stopped: the last call."""

    @property
    def current_at(self) -> float:
        """When everything that was in the topic had been read, the last time."""


class TopicFollower:
    """Feeds one `Copy` on a thread of its own. `start` and `stop` once each."""

    def __init__(
        self,
        connection: ConnectionOptions,
        topic: str,
        copy: Copy,
        *,
        what: str,
        check_seconds: float,
        log: Log,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`what` names in log lines what the topic adds up to, as in "reading the configuration".

        Every `check_seconds` the cluster is asked for ends and partitions, which also bounds how soon a new
        partition is read. Raises `InvalidInput` for settings that the Kafka client refuses.
        """
        self._connection = connection
        self._topic = topic
        self._copy = copy
        self._what = what
        self._log = log
        self._monotonic = monotonic
        self._trouble = Trouble()
        self._failed, self._failed_at = "", NEVER
        self._stopping = threading.Event()
        self._watch = Watch(
            connection, topic, every_seconds=check_seconds, monotonic=monotonic, what=what, log=log
        )
        self._thread = threading.Thread(target=self._run, name=f"follow-{topic}", daemon=True)

    @property
    def why_behind(self) -> str:
        """What keeps the copy from being up to date, as far as that is known."""
        if self._failed_at > self._copy.current_at:
            return self._failed
        return self._watch.trouble or "not everything that is in the topic has been read"

    def start(self) -> None:
        """Begin to read."""
        self._watch.start()
        self._thread.start()

    def stop(self) -> None:
        """Read no more. Safe to call twice, and without `start`."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
            self._watch.stop(STOP_SECONDS)

    def _run(self) -> None:
        backoff, failures = Backoff(first=1.0), 0
        while not self._stopping.is_set():
            began = self._monotonic()
            try:
                self._follow()
            except Exception as error:  # noqa: BLE001 - an instance that reads no more would be worse
                failures = 1 if self._copy.current_at >= began else failures + 1
                self._failed, self._failed_at = self._explained(error), self._monotonic()
                self._log.error(f"reading {self._what} failed, starting over", error=self._failed)
                self._stopping.wait(backoff.wait(failures))
        self._copy.ended()

    def _follow(self) -> None:
        consumer = Consumer(reader_config(self._connection), on_trouble=self._tell_of_trouble)
        self._copy.start_over()
        try:
            while not self._stopping.is_set():
                self._turn(consumer)
                self._copy.turned()
        finally:
            consumer.close()

    def _turn(self, consumer: Consumer) -> None:
        sighting = self._watch.take()
        assignment = None if sighting is None else self._copy.seen(sighting)
        if assignment is not None:
            consumer.at_end.clear()
            consumer.assign({(self._topic, number): offset for number, offset in assignment.offsets.items()})
            self._log.info(
                f"reading {self._what}", partitions=len(assignment.offsets), fresh=assignment.fresh
            )
        records = consumer.poll(POLL_RECORDS_MAX, POLL_SECONDS)
        ends = {number: offset for (_, number), offset in consumer.at_end.items()}
        consumer.at_end.clear()
        if records or ends:
            self._copy.read(records, ends)

    def _tell_of_trouble(self, code: str, text: str) -> None:
        if self._trouble.met(code, self._monotonic()):
            self._log.warning("the cluster is in trouble", code=code, error=text)

    def _explained(self, error: Exception) -> str:
        """Why reading failed, and what to change where that is known."""
        if not isinstance(error, KafkaFailed):
            return repr(error)
        advice = diagnosis.grant(error.code, f"topic {self._topic}", "Read")
        return f"{error}; {advice}" if advice else str(error)
