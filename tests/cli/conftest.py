"""What the tests of the daily commands share: a broker with the contract's topics, and a way to run one."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import EventType
from trunkline.cli.main import run
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.testing.processes import BrokerProcess


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="module")
def cluster(engine: ConnectionOptions) -> str:
    """The address of a cluster of either engine with the contract's topics."""
    ensure_topics(engine, load_catalogue(None), "development")
    return engine.bootstrap_servers


@pytest.fixture(scope="module")
def fresh_cluster(broker: BrokerProcess) -> str:
    """The address of an embedded broker with the contract's topics, which no other module has used."""
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(None), "development")
    return broker.address


@pytest.fixture
def trunkline(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs one command line."""

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def query_json() -> str:
    """The data of a valid event of the query engine."""
    return json.dumps(dict(EVENT_TYPES[EventType("query.completed.v1")].example))
