"""A broker in a process of its own, shared by the tests that ask it as strangers.

Peers that warn when they are imported are imported here, once: warnings stay errors for everything else.
kafka-python reads its message definitions through a function of importlib that Python 3.11 deprecates.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it re-exports silently

from trunkline.testing.processes import BrokerProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import aiokafka  # noqa: F401 - see above
    import kafka
    import kafka.protocol.consumer.metadata  # noqa: F401 - see above

MakeTopic = Callable[..., str]

DEADLINE_S = 20.0


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A running broker. Tests keep to topics and groups of their own, and no request may surprise it."""
    with BrokerProcess(tmp_path_factory.mktemp("broker") / "data") as process:
        yield process
        assert process.running, process.stderr.text
        assert "Traceback" not in process.stderr.text, process.stderr.text


@pytest.fixture(scope="session")
def admin(broker: BrokerProcess) -> AdminClient:
    """librdkafka's administrator of that broker."""
    return AdminClient({"bootstrap.servers": broker.address})


@pytest.fixture(scope="session")
def make_topic(admin: AdminClient) -> MakeTopic:
    """Creates a topic that no other test uses."""
    numbers = itertools.count(1)

    def make(partitions: int = 1, **config: str) -> str:
        name = f"test.topic.{next(numbers)}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        created = admin.create_topics(
            [NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)]
        )
        created[name].result(DEADLINE_S)
        return name

    return make
