"""How old the first record is that a group has not consumed: the lag that people feel, in seconds.

The record at the group's position has to be read for that, so only positions with something behind them are
looked up, every look-up is remembered as long as the position is asked for, and all of them together have a
deadline. The records are those of whatever the broker has at the position: with the contract's topics the
timestamp is that of publishing.

Who may describe a topic knows its lag, and need not be allowed to read it. What cannot be read is left open
and told (`refusals`), and takes nothing from the other topics.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from trunkline.client import diagnosis
from trunkline.client.config import Config, ConnectionOptions, reader_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Consumer, Partition
from trunkline.client.lag import Lag

LOOK_SECONDS: Final = 3.0
"""For all look-ups of one call together; what was not read by then is told the next time."""

POLL_SECONDS: Final = 0.1
FETCH_BYTES: Final = 1_024
"""A fetch returns one batch even if that is larger, and one record of it is all that is wanted."""

POLL_RECORDS_MAX: Final = 100

REFUSED_SECONDS: Final = 60.0
"""So long a topic that may not be read is not tried again: every try takes time from the others."""

Position = tuple[Partition, int]
NOTHING_THERE: Final = -1
"""Stands for the timestamp where the log holds no record behind a position, only markers of transactions."""


class TimeLag:
    """Reads the timestamps of first unconsumed records. A context manager; not thread-safe."""

    def __init__(
        self,
        connection: ConnectionOptions,
        *,
        look_seconds: float = LOOK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = _config(connection)
        self._look_seconds = look_seconds
        self._monotonic = monotonic
        self._consumer: Consumer | None = None
        self._known: dict[Position, int] = {}
        self._retry_at: dict[str, float] = {}
        self.refusals: dict[str, str] = {}
        """Topics whose records the cluster does not let this client read, and why, with what to change."""

    def measure(self, lags: Iterable[Lag], *, now: float) -> list[Lag]:
        """The same with `seconds`, as of `now` in Unix time.

        None where the time did not suffice to look, and where the records may not be read.
        """
        found = list(lags)
        behind = {_position_of(lag) for lag in found if lag.lag}
        self._known = {position: at for position, at in self._known.items() if position in behind}
        self._look_up(behind - self._known.keys())
        return [replace(lag, seconds=self._seconds(lag, now)) for lag in found]

    def close(self) -> None:
        """Close the connection; the next `measure` opens another."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _seconds(self, lag: Lag, now: float) -> float | None:
        if not lag.lag:
            return 0.0
        at = self._known.get(_position_of(lag))
        if at is None:
            return None
        # A publisher's clock may be ahead of ours.
        return 0.0 if at == NOTHING_THERE else max(now - at / 1000, 0.0)

    def _look_up(self, wanted: set[Position]) -> None:
        deadline = self._monotonic() + self._look_seconds
        for starts in rounds(position for position in wanted if self._may_try(position[0][0])):
            self._read_what_may_be_read(starts, deadline)

    def _may_try(self, topic: str) -> bool:
        return self._monotonic() >= self._retry_at.get(topic, 0.0)

    def _read_what_may_be_read(self, starts: dict[Partition, int], deadline: float) -> None:
        missing = dict(starts)
        while missing and self._monotonic() < deadline:
            try:
                self._read(missing, deadline)
            except KafkaFailed as error:
                # The client object may be of no more use; and one topic is refused at a time.
                self.close()
                for topic in diagnosis.named_in(str(error), {topic for topic, _ in missing}):
                    self._refused(topic, error)
            else:
                return
            missing = {key: start for key, start in missing.items() if self._may_try(key[0])}

    def _refused(self, topic: str, error: KafkaFailed) -> None:
        self._retry_at[topic] = self._monotonic() + REFUSED_SECONDS
        advice = diagnosis.grant(error.code, f"topic {topic}", "Read")
        self.refusals[topic] = f"{error}; {advice}" if advice else str(error)

    def _read(self, missing: dict[Partition, int], deadline: float) -> None:
        """Read one record at each of these positions; what is found is no longer missing."""
        if self._consumer is None:
            self._consumer = Consumer(self._config)
        self._consumer.at_end.clear()
        self._consumer.assign(missing)
        try:
            while missing and self._monotonic() < deadline:
                for record in self._consumer.poll(POLL_RECORDS_MAX, POLL_SECONDS):
                    key = (record.topic, record.partition)
                    start = missing.get(key)
                    if start is not None and record.offset >= start:
                        self._found(key, missing.pop(key), record.timestamp_ms)
                for key in missing.keys() & self._consumer.at_end.keys():
                    self._found(key, missing.pop(key), NOTHING_THERE)
        finally:
            # Nothing more is fetched, and nothing is left over for the next round.
            self._consumer.assign({})

    def _found(self, key: Partition, start: int, timestamp_ms: int) -> None:
        self._known[key, start] = timestamp_ms
        self.refusals.pop(key[0], None)


def rounds(wanted: Iterable[Position]) -> list[dict[Partition, int]]:
    """Positions in an order in which a consumer, which has one position in a partition, can read them.

    The ones that are furthest behind come first.
    """
    made: list[dict[Partition, int]] = []
    depth: dict[Partition, int] = {}
    for key, offset in sorted(wanted):
        number = depth.get(key, 0)
        depth[key] = number + 1
        if number == len(made):
            made.append({})
        made[number][key] = offset
    return made


def _position_of(lag: Lag) -> Position:
    return (lag.topic, lag.partition), lag.position


def _config(connection: ConnectionOptions) -> Config:
    return {**reader_config(connection), "queued.min.messages": 1, "fetch.message.max.bytes": FETCH_BYTES}
