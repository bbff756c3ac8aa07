"""Asks the cluster, apart from the consumer, what there is to read."""

import threading
from collections import deque
from collections.abc import Callable

from trunkline.client.broadcast.course import Sighting
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Admin
from trunkline.client.log import Log
from trunkline.errors import Unavailable


def sight(admin: Admin, topic: str, *, at: float) -> Sighting | None:
    """The topic as it is now, None where there is none. Raises `ClusterUnavailable` and `KafkaFailed`."""
    found = admin.describe([topic]).get(topic)
    if found is None:
        return None
    bounds = admin.offsets([(topic, number) for number in range(found.partitions)])
    return Sighting(
        topic_id=found.topic_id, bounds={number: both for (_, number), both in bounds.items()}, at=at
    )


class Watch:
    """A thread of its own, so that a cluster that does not answer holds up nobody."""

    def __init__(
        self,
        connection: ConnectionOptions,
        topic: str,
        *,
        every_seconds: float,
        monotonic: Callable[[], float],
        what: str,
        log: Log,
    ) -> None:
        """`what` names in log lines what the topic adds up to.

        Raises `InvalidInput` for settings that the Kafka client refuses.
        """
        self._admin = Admin(admin_config(connection))
        self._topic = topic
        self._every_seconds = every_seconds
        self._monotonic = monotonic
        self._what = what
        self._log = log
        self._latest: deque[Sighting] = deque(maxlen=1)
        self._stopping = threading.Event()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{topic}", daemon=True)

    @property
    def trouble(self) -> str | None:
        """Why the last attempt told nothing; None when it did."""
        return self._trouble

    def start(self) -> None:
        """Ask at once, and from then on every so many seconds."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ask no more. An answer that is under way is not waited for longer than this."""
        self._stopping.set()
        self._thread.join(timeout)

    def take(self) -> Sighting | None:
        """The latest sighting, once."""
        try:
            return self._latest.pop()
        except IndexError:
            return None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._tell(self._look())
            self._stopping.wait(self._every_seconds)

    def _look(self) -> str | None:
        try:
            sighting = sight(self._admin, self._topic, at=self._monotonic())
        except (Unavailable, KafkaFailed) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - without this thread the instance would be stale for ever
            return repr(error)
        if sighting is None:
            return f"the cluster has no topic {self._topic}"
        self._latest.append(sighting)
        return None

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None and self._trouble is None:
            self._log.warning(f"cannot see whether all of {self._what} has been read", error=trouble)
        elif trouble is None and self._trouble is not None:
            self._log.info("the topic is in sight again", topic=self._topic)
        self._trouble = trouble
