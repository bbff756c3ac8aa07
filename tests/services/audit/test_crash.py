"""Twenty times kill -9 in the middle of an import: nothing lost, nothing twice, nothing out of order."""

import random
import time
from pathlib import Path

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
from trunkline.testing.processes import BrokerProcess, CommandProcess

CLOUDTRAIL = Path(__file__).parents[3] / ".." / "shared" / "data" / "cloudtrail"
TOPIC = "security.audit.events"
DEADLINE_S = 60.0
IMPORT_S = 0.9
"""About how long an import takes from its start; kills are spread over it. A killed service costs ten seconds
more, until the group has noticed that its member is gone, so there are fewer of those."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CLOUDTRAIL.is_dir(), reason="the real CloudTrail logs are not at ../shared/data"),
]


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


def test_an_import_survives_kills_of_broker_and_service(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with BrokerProcess(tmp_path / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, load_catalogue(), "development")
        to_here = ["--bootstrap-servers", broker.address]
        service_command = ["service", "audit-service", *to_here, "--data-dir", str(tmp_path), "--json"]
        import_command = ["import", "cloudtrail", str(CLOUDTRAIL), "--tenant", "acme", *to_here, "--json"]
        with CommandProcess(service_command, ready=lambda line: line.startswith("{")) as service:
            rounds: list[list[CommandProcess]] = [[broker]] * 12 + [[service]] * 4 + [[broker, service]] * 4
            chance.shuffle(rounds)
            for victims in rounds:
                with CommandProcess(import_command) as importing:
                    time.sleep(
                        chance.uniform(0.3, IMPORT_S)
                    )  # The moment of the fault, not a wait for anything.
                    for victim in victims:
                        victim.restart()
                    importing.wait(timeout_s=DEADLINE_S)
            with CommandProcess(import_command) as importing:
                assert importing.wait(timeout_s=DEADLINE_S) == 0, importing.stderr.text
            store = open_store(f"sqlite:///{tmp_path / 'services' / 'audit-service.db'}")
            wait_until_consumed(store, connection)
            assert service.terminate() == 0
    expected = [event.id for event in read_events(find_files(CLOUDTRAIL)) if isinstance(event, Envelope)]
    with store.read() as tx:
        ledger = tx.execute(select(AUDIT_EVENT.c.tenant, AUDIT_EVENT.c.id).order_by(AUDIT_EVENT.c.seq)).all()
    assert len(ledger) == 2_273
    assert [tuple(row) for row in ledger] == [("acme", id_) for id_ in expected]
    verifier = load_verifier(public_key_path(signing_key_path(tmp_path)))
    report = verify_store(store, checkpoint_files(tmp_path), verifier)
    assert report.ok, report.findings
    assert [ledger.covered for ledger in report.tenants] == [2_273]
    store.close()
