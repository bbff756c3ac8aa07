"""Requests of an administrator: how long their answers are waited for, and what is said when none comes."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from trunkline.client import diagnosis
from trunkline.client.config import Config
from trunkline.client.errors import ClusterUnavailable, KafkaFailed
from trunkline.client.kafka.errors import STARTING, UNREACHABLE, translated
from trunkline.client.kafka.library import LOGGER, REPLY_SECONDS, settings_checked
from trunkline.errors import TrunklineError

_E: Final = ck.KafkaError

COORDINATOR_SECONDS: Final = 3_600.0
"""What the library is told for requests to a group's coordinator, its longest. When its own time-out passes
while it looks for the coordinator, it frees what it uses again as soon as the coordinator is back, and that
aborts the process. So the wait ends here (`coordinated`), and the request when the coordinator answers."""


class Requests:
    """The library's administrator, and its errors as ours."""

    def __init__(self, config: Config) -> None:
        self._heard: dict[str, str] = {}
        self._servers = str(config["bootstrap.servers"])
        told: dict[str, Any] = {**config, "error_cb": self._hear}
        with settings_checked():
            self.client: Final = AdminClient(told, logger=LOGGER)

    @contextlib.contextmanager
    def translated(self, resource: str = "the cluster", operation: str = "Describe") -> Iterator[None]:
        """What is asked in here fails with `ClusterUnavailable` or `KafkaFailed`, and says what to do.

        `operation` is what Kafka's ACLs call it.
        """
        self._listen()
        self._heard = {}
        try:
            yield
        except ck.KafkaException as error:
            self._listen()
            raise self._explained(error, resource, operation) from error

    def _explained(self, error: ck.KafkaException, resource: str, operation: str) -> TrunklineError:
        cause = error.args[0]
        if cause.code() in UNREACHABLE:
            for code, text in self._heard.items():
                if diagnosis.is_refusal(code, text):
                    return KafkaFailed(code, diagnosis.refused(self._servers, text))
            return ClusterUnavailable(diagnosis.unreachable(self._servers, self._heard, cause.str()))
        if cause.code() in STARTING:
            return ClusterUnavailable(f"the cluster is not ready ({cause.str()}); try again in some seconds")
        failed = translated(error)
        if advice := diagnosis.grant(failed.code, resource, operation):
            failed = KafkaFailed(failed.code, f"{failed}; {advice}")
        return failed

    def _listen(self) -> None:
        """Hear what has happened to the connections: an answer that did not come does not say why."""
        self.client.poll(0)

    def _hear(self, error: ck.KafkaError) -> None:
        self._heard.setdefault(error.name(), error.str())


def coordinated(future: Future[Any]) -> Any:
    """A coordinator's answer, waited for as long as for any other. Raises `KafkaException`."""
    try:
        return future.result(REPLY_SECONDS)
    except TimeoutError as error:
        raise ck.KafkaException(_E(_E._TIMED_OUT)) from error


def of_known_groups(futures: Mapping[str, Future[Any]]) -> dict[str, Any]:
    """The answers about groups, by group; one that is not there any more has none.

    Raises `KafkaException`.
    """
    found: dict[str, Any] = {}
    for name, future in futures.items():
        try:
            found[name] = coordinated(future)
        except ck.KafkaException as error:
            if error.args[0].code() != _E.GROUP_ID_NOT_FOUND:
                raise
    return found
