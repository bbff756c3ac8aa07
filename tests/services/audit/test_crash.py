"""kill -9 in the middle of imports, again and again: nothing lost, nothing twice, nothing out of order."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from sqlalchemy import func, select

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.store import Store, open_store
from trunkline.client.store.tables import CONSUMER_POSITION
from trunkline.codec import Envelope
from trunkline.services.audit.app import checkpoint_files, signing_key_path
from trunkline.services.audit.note import load_verifier, public_key_path
from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.audit.verify import verify_store
from trunkline.sources.cloudtrail import find_files, read_events
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.processes import BrokerProcess, CommandProcess

CLOUDTRAIL = Path(__file__).parents[3] / ".." / "shared" / "data" / "cloudtrail"
TOPIC = "security.audit.events"
DEADLINE_S = 60.0
IMPORT_S = 0.9
"""About how long an import takes from its start; kills are spread over it. A killed service costs ten seconds
more, until the group has noticed that its member is gone, so there are fewer of those."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not CLOUDTRAIL.is_dir(), reason="the real CloudTrail logs are not at ../shared/data"),
]


class Victim(Protocol):
    """What is killed and started again on the same data."""

    def restart(self) -> None: ...


class Engine(NamedTuple):
    """A broker of the test's own, and how often what is killed."""

    address: str
    broker: Victim
    kills_of_broker: int
    kills_of_service: int
    """Alone; and as often together with the broker."""


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each in turn. Kafka takes ten seconds to come back, so it is killed less often."""
    if request.param == "kafka":
        kafka_factory: Callable[[], KafkaCluster] = request.getfixturevalue("kafka_factory")
        kafka = kafka_factory()
        return Engine(kafka.bootstrap_servers, kafka.brokers[0], 4, 1)
    broker_factory: Callable[[], BrokerProcess] = request.getfixturevalue("broker_factory")
    broker = broker_factory()
    return Engine(broker.address, broker, 14, 3)


def wait_until_consumed(store: Store, connection: ConnectionOptions) -> None:
    """Until the service's position is at the end of every partition of the topic."""
    admin = Admin(admin_config(connection))
    partitions = [(TOPIC, number) for number in range(3)]
    deadline = time.monotonic() + DEADLINE_S
    while True:
        written = sum(high for _, high in admin.offsets(partitions).values())
        query = select(func.sum(CONSUMER_POSITION.c.next_offset)).where(CONSUMER_POSITION.c.topic == TOPIC)
        with store.read() as tx:
            position = tx.scalar(query) or 0
        if position == written:
            return
        assert time.monotonic() < deadline, f"the service is at {position} of {written}"
        time.sleep(0.05)


def test_imports_survive_kills_of_broker_and_service(tmp_path: Path, engine: Engine) -> None:
    """Each import is of another tenant, so that every kill meets events that are new."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    connection = ConnectionOptions(bootstrap_servers=engine.address)
    ensure_topics(connection, load_catalogue(), "development")
    to_here = ["--bootstrap-servers", engine.address, "--json"]
    command = ["service", "audit-service", "--data-dir", str(tmp_path), *to_here]
    with CommandProcess(command, ready=lambda line: line.startswith("{")) as service:
        rounds: list[list[Victim]] = [[engine.broker]] * engine.kills_of_broker
        rounds += [[service], [engine.broker, service]] * engine.kills_of_service
        chance.shuffle(rounds)
        for number, victims in enumerate(rounds):
            command = ["import", "cloudtrail", str(CLOUDTRAIL), "--tenant", f"t{number}", *to_here]
            with CommandProcess(command) as importing:
                # This is the moment of the fault, not a wait for anything.
                time.sleep(chance.uniform(0.3, IMPORT_S))
                for victim in victims:
                    victim.restart()
                importing.wait(timeout_s=DEADLINE_S)
            with CommandProcess(command) as importing:
                assert importing.wait(timeout_s=DEADLINE_S) == 0, importing.stderr.text
        store = open_store(f"sqlite:///{tmp_path / 'services' / 'audit-service.db'}")
        wait_until_consumed(store, connection)
        assert service.terminate() == 0
    expected = [event.id for event in read_events(find_files(CLOUDTRAIL)) if isinstance(event, Envelope)]
    assert len(expected) == 2_273
    with store.read() as tx:
        for number in range(len(rounds)):
            of_tenant = select(AUDIT_EVENT.c.id).where(AUDIT_EVENT.c.tenant == f"t{number}")
            # A tenant's ids are derived from the records alone, so they are the same for all tenants.
            assert list(tx.scalars(of_tenant.order_by(AUDIT_EVENT.c.seq))) == expected
    verifier = load_verifier(public_key_path(signing_key_path(tmp_path)))
    report = verify_store(store, checkpoint_files(tmp_path), verifier)
    assert report.ok, report.findings
    assert [ledger.covered for ledger in report.tenants] == [2_273] * len(rounds)
    store.close()
