"""Fixtures of every suite: brokers as processes of their own, embedded and real, and what was not run."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import run
from trunkline.client.config import ConnectionOptions
from trunkline.testing import postgres as postgresql
from trunkline.testing.access_matrix import user_rights
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl, Tls
from trunkline.testing.kafka_jars import KafkaMissing, find_kafka
from trunkline.testing.postgres import PostgresServer
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.requirements import Requirement, is_required

ENGINES = ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)]
LATER = {
    "kafka": ("test on real Apache Kafka", "tests on real Apache Kafka", "make test-kafka"),
    "slow": ("long one", "long ones", "make test-long"),
}
ROOT = "root"
"""Who sets the secured cluster up, and may everything."""

NOT_RUN: pytest.StashKey[Counter[str]] = pytest.StashKey()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A fresh embedded broker that the tests of one module share."""
    with BrokerProcess(tmp_path_factory.mktemp("broker")) as process:
        yield process


@pytest.fixture
def broker_factory(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Starts brokers of the test's own: `broker_factory(data_dir, "--durability", "os")`, both optional."""
    with ExitStack() as running:

        def start(data_dir: Path | None = None, *options: str) -> BrokerProcess:
            return running.enter_context(BrokerProcess(data_dir or tmp_path / "data", *options))

        yield start


@pytest.fixture(scope="session")
def kafka_home() -> Path | None:
    """Where an Apache Kafka is unpacked, or None for Maven's. Skips where neither it nor Java is to be had,
    unless the run requires them."""
    home = os.environ.get("KAFKA_HOME")
    found = Path(home) if home else None
    try:
        find_kafka(found)
    except KafkaMissing as missing:
        if is_required(Requirement.KAFKA, os.environ):
            raise
        pytest.skip(str(missing))
    return found


@pytest.fixture(scope="session")
def kafka_cluster(
    tmp_path_factory: pytest.TempPathFactory, kafka_home: Path | None
) -> Iterator[KafkaCluster]:
    """One real broker that all tests of the session share: use names of your own, and do not break it."""
    with KafkaCluster(tmp_path_factory.mktemp("kafka"), kafka_home=kafka_home) as cluster:
        yield cluster


@pytest.fixture
def kafka_factory(tmp_path: Path, kafka_home: Path | None) -> Iterator[Callable[..., KafkaCluster]]:
    """Starts a real cluster of the test's own: `kafka_factory(brokers=3, log_retention_ms="1000")`."""
    with ExitStack() as running:

        def start(
            *, brokers: int = 1, sasl: Sasl | None = None, tls: Tls | None = None, **settings: str
        ) -> KafkaCluster:
            told = {name.replace("_", "."): value for name, value in settings.items()}
            return running.enter_context(
                KafkaCluster(
                    tmp_path / "kafka",
                    brokers=brokers,
                    sasl=sasl,
                    tls=tls,
                    kafka_home=kafka_home,
                    settings=told,
                )
            )

        yield start


@pytest.fixture(scope="session")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Has `trunkline apply` create everything: `set_up(cluster, user="root", environment="production")`."""

    def apply(cluster: KafkaCluster, *, user: str, environment: str, principal: str) -> None:
        to = cluster.connection(user)
        properties = tmp_path_factory.mktemp("apply") / "client.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in to.security.items()))
        command = ["apply", "--environment", environment, "--principal", principal, "--json"]
        command += ["--bootstrap-servers", to.bootstrap_servers, "--client-properties", str(properties)]
        with redirect_stdout(StringIO()):
            assert run(command) == 0

    return apply


@pytest.fixture
def production(
    tmp_path: Path, kafka_home: Path | None, set_up: Callable[..., None]
) -> Iterator[KafkaCluster]:
    """Three brokers as production has them, with nothing in their topics: users show certificates."""
    tls = Tls(users=(*user_rights(load_catalogue()), ROOT), superusers=(ROOT,))
    with KafkaCluster(tmp_path / "production", brokers=3, tls=tls, kafka_home=kafka_home) as cluster:
        set_up(cluster, user=ROOT, environment="production", principal="User:CN={name}")
        yield cluster


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> ConnectionOptions:
    """Each engine in turn: an embedded broker of this module's own, and the session's real Kafka.

    Topics, groups and tenants outlive a module on Kafka, so names must be unique in the whole session.
    """
    if request.param == "kafka":
        cluster: KafkaCluster = request.getfixturevalue("kafka_cluster")
        return cluster.connection()
    embedded: BrokerProcess = request.getfixturevalue("broker")
    return ConnectionOptions(bootstrap_servers=embedded.address)


def pytest_configure() -> None:
    # Whoever starts this in the background has it ignored, by all that is started here, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what a marker expression left out."""
    for item in items:
        marker = next((name for name in LATER if item.get_closest_marker(name)), None)
        if marker is not None:
            item.config.stash.setdefault(NOT_RUN, Counter())[marker] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports, where this is one of several that test."""
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        not_run: Counter[str] = session.config.stash.get(NOT_RUN, Counter())
        output["not_run"] = dict(not_run)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Each process collects all tests, so that one of them knows."""
    if error is None:
        node.config.stash[NOT_RUN] = Counter(node.workeroutput["not_run"])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not run and how to run it."""
    counts = config.stash.get(NOT_RUN, Counter())
    parts = [
        f"{counts[marker]} {one if counts[marker] == 1 else many} ({command})"
        for marker, (one, many, command) in LATER.items()
        if counts[marker]
    ]
    if parts:
        terminalreporter.write_line(f"not run here: {', '.join(parts)}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests; where there is none they are skipped, unless it is required."""
    missing = postgresql.why_missing()
    if missing is not None and not is_required(Requirement.POSTGRES, os.environ):
        pytest.skip(missing)
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new, empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'service.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url
