"""The probes and the exit code of a `trunkline service` process: its broker away, its handler stuck."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import pytest

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.processes import BrokerProcess, CommandProcess

UNREADY_SECONDS: Final = 30.0
"""The cluster's silence counts after 10 s, and so does a session that a frozen broker does not renew."""

READY_SECONDS: Final = 60.0
STOP_DEADLINE_SECONDS: Final = 15.0
BATCH_IN_HAND: Final = 'trunkline_consumer_batches_in_progress{group="audit-service"} 1.0'


class Faulty(Protocol):
    """A broker that can be hurt."""

    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Service:
    """A running audit service and what its probes say."""

    def __init__(self, process: CommandProcess) -> None:
        self.process = process
        ready = msgspec.json.decode(process.ready_line)
        self._health_port: int = ready["health_port"]
        self._metrics_port: int = ready["metrics_port"]

    def status(self, path: str) -> int:
        return get(self._health_port, path)[0]

    @property
    def is_live(self) -> bool:
        return self.status("/livez") == HTTPStatus.OK

    @property
    def is_ready(self) -> bool:
        return self.status("/readyz") == HTTPStatus.OK

    @property
    def has_a_batch_in_hand(self) -> bool:
        return BATCH_IN_HAND in get(self._metrics_port, "/metrics")[1].splitlines()


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@contextmanager
def audit_service(servers: str, data_dir: Path, *options: str) -> Iterator[Service]:
    arguments = ["service", "audit-service", "-b", servers, "--data-dir", str(data_dir), "--json"]
    ensure_topics(ConnectionOptions(bootstrap_servers=servers), load_catalogue(None), "development")
    with CommandProcess(
        [*arguments, "--health-port", "0", "--metrics-port", "0", *options],
        ready=lambda line: line.startswith("{"),
    ) as process:
        yield Service(process)


def database(data_dir: Path) -> Path:
    return data_dir / "services" / "audit-service.db"


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def cluster(request: pytest.FixtureRequest) -> tuple[str, Faulty, Callable[[], Any]]:
    """The servers of a cluster of the test's own, its broker, and how to start that again."""
    if request.param == "embedded":
        process: BrokerProcess = request.getfixturevalue("broker_factory")()
        return process.address, process, process.restart
    real: KafkaCluster = request.getfixturevalue("kafka_factory")()
    return real.bootstrap_servers, real.brokers[0], real.brokers[0].start


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_service_is_unready_while_its_broker_is_away_and_alive_and_ready_again_after(
    cluster: tuple[str, Faulty, Callable[[], Any]], tmp_path: Path, fault: str
) -> None:
    servers, broker, start = cluster
    with audit_service(servers, tmp_path / "data") as service:
        eventually(lambda: service.is_ready)
        assert service.is_live
        if fault == "killed":
            broker.kill()
        else:
            broker.pause()
        eventually(lambda: not service.is_ready, seconds=UNREADY_SECONDS)
        assert service.is_live
        if fault == "killed":
            start()
        else:
            broker.resume()
        eventually(lambda: service.is_ready, seconds=READY_SECONDS)
        assert service.process.terminate() == 0


@pytest.mark.slow  # the group waits for the session of the one that could not leave it
def test_a_service_that_cannot_end_its_batch_in_time_ends_with_exit_code_1_and_repeats_it(
    broker: BrokerProcess, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    with audit_service(broker.address, data_dir, "--stop-seconds", "0.5") as service:
        eventually(lambda: service.is_ready)
        blocker = sqlite3.connect(database(data_dir), isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        with Publisher(
            service="config-service", connection=connection, catalogue=load_catalogue(None)
        ) as publisher:
            event = ConfigValueSet(key="a.b", level="global", value=1, version=1, actor_id="ana")
            publisher.publish(event, tenant=SYSTEM_TENANT, id="blocked").result(10)
        eventually(lambda: service.has_a_batch_in_hand)
        assert service.process.terminate(timeout_s=STOP_DEADLINE_SECONDS) == 1
        last = msgspec.json.decode(service.process.stderr.text.splitlines()[-1])
        assert (last["event"], last["exit_code"]) == ("ended", 1)
        assert last["error"].startswith("audit-service did not stop within 0.5 s")
        blocker.close()
    with audit_service(broker.address, data_dir) as again:
        eventually(lambda: again.is_ready)

        def ids() -> list[str]:
            with sqlite3.connect(database(data_dir)) as reading:
                return [row[0] for row in reading.execute("SELECT id FROM audit_event")]

        eventually(lambda: "blocked" in ids())
        assert ids().count("blocked") == 1
        assert again.process.terminate() == 0
