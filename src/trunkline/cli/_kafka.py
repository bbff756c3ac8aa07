"""Real Apache Kafka under `trunkline up`: brokers that are watched and started again like other children."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from trunkline.cli._processes import BACKOFF_SECONDS, HEALTHY_SECONDS
from trunkline.errors import TrunklineError
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_node import KafkaBroker


class KafkaChild:
    """One broker of the cluster, as the stack looks at its children."""

    def __init__(self, broker: KafkaBroker, *, only: bool) -> None:
        self.name = "broker" if only else f"broker-{broker.number}"
        self._broker = broker
        self._started_at = time.monotonic()
        self._failures_in_a_row = 0
        self._retry_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        return self._broker.pid

    def watch(self, say: Callable[[str], None]) -> None:
        """Start the broker again if it died, after a back-off. Does not wait until it is ready."""
        if self._broker.running:
            return
        now = time.monotonic()
        if self._retry_at is None:
            if now - self._started_at > HEALTHY_SECONDS:
                self._failures_in_a_row = 0
            wait = BACKOFF_SECONDS[min(self._failures_in_a_row, len(BACKOFF_SECONDS) - 1)]
            self._failures_in_a_row += 1
            self._retry_at = now + wait
            say(
                f"{self.name} ended (code {self._broker.exit_code}, log {self._broker.log_file}); "
                f"starting again in {wait:g} s"
            )
        elif now >= self._retry_at:
            self._retry_at = None
            self._started_at = now
            try:
                self._broker.launch()
            except (TrunklineError, OSError) as error:
                say(str(error))


class KafkaEngine:
    """A cluster in the machine's data directory, found again there at the next start."""

    def __init__(self, directory: Path, *, brokers: int, port: int, kafka_home: Path | None) -> None:
        ports = [port + number if port else 0 for number in range(brokers)]
        # Without proxies: nobody cuts clients off here, and a broker outside this process is one hop nearer.
        self._cluster = KafkaCluster(
            directory, brokers=brokers, kafka_home=kafka_home, ports=ports, proxies=False
        )
        self.children: Sequence[KafkaChild] = ()

    @property
    def bootstrap_servers(self) -> str:
        return self._cluster.bootstrap_servers

    @property
    def cluster_id(self) -> str:
        return self._cluster.cluster_id

    def start(self) -> None:
        """Until all brokers are ready. Raises what `KafkaCluster` raises."""
        self._cluster.__enter__()
        brokers = self._cluster.brokers
        self.children = [KafkaChild(broker, only=len(brokers) == 1) for broker in brokers]

    def stop(self) -> None:
        """End all brokers, cleanly where they run."""
        self._cluster.close()
