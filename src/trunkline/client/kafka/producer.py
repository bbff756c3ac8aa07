"""The producer: events go in with a token, reports come back with it.

A fatal error is raised out of `poll` or `flush`, often as `SystemError`, while delivery callbacks run with
that exception pending. Callbacks therefore only append to a list, which is read afterwards.
"""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

import confluent_kafka as ck
import msgspec

from trunkline.client import diagnosis
from trunkline.client.config import Config
from trunkline.client.errors import ClusterUnavailable, KafkaFailed, KafkaFatal, QueueFull
from trunkline.client.kafka.errors import REJECTING, UNAUTHENTICATED, UNREACHABLE, translated
from trunkline.client.kafka.library import LOGGER, REPLY_SECONDS, settings_checked

Token = TypeVar("Token")

_E: Final = ck.KafkaError

TOO_LARGE: Final = _E(_E.MSG_SIZE_TOO_LARGE).name()
"""The code of a report on an event that was larger than its topic takes."""

_PURGED: Final = frozenset({_E(_E._PURGE_QUEUE).name(), _E(_E._PURGE_INFLIGHT).name()})
_MAY_NOT_PUBLISH: Final = _E(_E.CLUSTER_AUTHORIZATION_FAILED).name()
"""An idempotent producer asks for its id before anything else, and who may write nowhere gets none."""

_NO_TIMESTAMP: Final = 0
"""The library then takes the present time."""


class Report(msgspec.Struct, Generic[Token], frozen=True):
    """What became of one event: a position, or an error; `lost` then says that it is not in the log."""

    token: Token
    topic: str
    partition: int
    offset: int
    code: str | None = None
    message: str = ""
    lost: bool = False


class Sendable(Protocol):
    """What is sent: `Encoded` is one."""

    @property
    def key(self) -> bytes: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Trouble:
    """What the library says is wrong with the cluster.

    Apart from the producer, which would otherwise keep itself, and the library's threads with it, alive.
    """

    def __init__(self) -> None:
        self.refused: str | None = None
        """What the brokers said when they refused this client's credentials last."""
        self._told: set[str] = set()

    def tell(self, error: ck.KafkaError) -> None:
        """Log it, but not many times a second, as the library does while a cluster is away."""
        if error.code() in UNAUTHENTICATED:
            self.refused = error.str()
        if error.name() not in self._told:
            self._told.add(error.name())
            LOGGER.warning("%s: %s", error.name(), error.str())

    def is_over(self) -> None:
        """Something was delivered: what goes wrong from now on is worth a line again."""
        self._told.clear()


class Producer(Generic[Token]):
    """An idempotent producer. `Token` is whatever the caller wants back with the report.

    Not more than one thread may call `poll`; `send` is thread-safe.
    """

    def __init__(self, config: Config) -> None:
        """Raises `InvalidInput` for settings that the library refuses."""
        self.trouble = Trouble()
        with settings_checked():
            self._producer = ck.Producer({**config, "error_cb": self.trouble.tell}, logger=LOGGER)
        self._reports: list[tuple[Token, ck.KafkaError | None, ck.Message]] = []
        self._died: str | None = None

    def __len__(self) -> int:
        """Events that are not reported yet."""
        return len(self._producer)

    def send(self, topic: str, record: Sendable, token: Token, partition: int = -1) -> None:
        """Queue one event, by its key unless a partition is given.

        Raises `QueueFull`, `KafkaFatal` or `KafkaFailed`; nothing was queued then.
        """
        try:
            self._producer.produce(
                topic,
                record.value,
                record.key,
                partition,
                partial(self._reported, token),
                None,
                _NO_TIMESTAMP,
                [*record.headers],
            )
        except BufferError as error:
            raise QueueFull(f"the queue to {topic} is full") from error
        except ck.KafkaException as error:
            raise translated(error) from error

    def poll(self, timeout: float) -> list[Report[Token]]:
        """Wait for deliveries and return their reports, at once when there are some.

        Raises `KafkaFatal` when this producer is dead; `drain` then returns what had been reported.
        """
        try:
            self._producer.poll(timeout)
        except ck.KafkaException as error:
            failed = translated(error)
            self._died = str(failed)
            if failed.code == _MAY_NOT_PUBLISH:
                self._died += f"; {diagnosis.MAY_NOT_PUBLISH_ADVICE}"
            raise KafkaFatal(failed.code, self._died) from error
        except SystemError as error:
            raise KafkaFatal("_FATAL", "the producer met a fatal error") from error
        return self._take()

    def partition_count(self, topic: str) -> int | None:
        """How many partitions a topic has, None if there is no such topic; this producer knows of them then.

        Raises `ClusterUnavailable` within seconds, or `KafkaFailed`.
        """
        try:
            found = self._producer.list_topics(topic, timeout=REPLY_SECONDS).topics[topic]
        except ck.KafkaException as error:
            if error.args[0].code() in UNREACHABLE:
                raise ClusterUnavailable(
                    f"no Kafka broker answers ({error.args[0].str()}); start one, or set --bootstrap-servers "
                    "or TRUNKLINE_BOOTSTRAP_SERVERS"
                ) from error
            raise translated(error) from error
        if found.error is None:
            return len(found.partitions) or None
        if found.error.code() in (_E.UNKNOWN_TOPIC_OR_PART, _E._UNKNOWN_TOPIC):
            return None
        raise KafkaFailed(found.error.name(), f"Kafka: {found.error.str()}")

    def purge(self) -> None:
        """Give up everything queued or in flight; the reports follow, and any of it may be in the log."""
        self._producer.purge()

    def drain(self) -> list[Report[Token]]:
        """Give up everything queued or in flight and return all reports. The producer is dead afterwards.

        Raises nothing.
        """
        for step in (self._producer.purge, partial(self._producer.flush, REPLY_SECONDS)):
            # Both raise the fatal error that brought us here once more; the second flush is the clean one.
            for _ in range(2):
                with contextlib.suppress(Exception):
                    step()
        return self._take()

    def _reported(self, token: Token, error: ck.KafkaError | None, message: ck.Message) -> None:
        self._reports.append((token, error, message))

    def _take(self) -> list[Report[Token]]:
        taken, self._reports = self._reports, []
        if taken:
            self.trouble.is_over()
        reports: list[Report[Token]] = [
            # What was delivered has all three.
            Report(token, message.topic(), message.partition(), message.offset())  # type: ignore[arg-type]
            if error is None
            else _failure(token, error, message)
            for token, error, message in taken
        ]
        if self._died is None:
            return reports
        # That they were purged says nothing; why this producer died does.
        return [
            msgspec.structs.replace(report, message=self._died) if report.code in _PURGED else report
            for report in reports
        ]


def _failure(token: Token, error: ck.KafkaError, message: ck.Message) -> Report[Token]:
    partition = message.partition()
    return Report(
        token,
        message.topic() or "",
        -1 if partition is None else partition,
        -1,
        error.name(),
        error.str(),
        lost=error.code() in REJECTING,
    )
