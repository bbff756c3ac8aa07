"""`trunkline service` with its store in PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy import text

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.client.store import open_store
from trunkline.testing.consuming import eventually
from trunkline.testing.postgres import PostgresServer
from trunkline.testing.processes import BrokerProcess, CommandProcess


def test_the_audit_service_keeps_its_ledger_in_postgresql(
    broker_factory: Callable[..., BrokerProcess], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    broker = broker_factory()
    catalogue = load_catalogue(None)
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, catalogue, "development")
    url = postgres_server.create_database()
    arguments = ["service", "audit-service", "--store", url, "-b", broker.address, "--json"]
    with CommandProcess(
        [*arguments, "--data-dir", str(tmp_path)], ready=lambda line: "store" in line
    ) as process:
        assert msgspec.json.decode(process.ready_line)["store"] == url
        with Publisher(service="config-service", connection=connection, catalogue=catalogue) as publisher:
            event = ConfigValueSet(key="a.b", level="global", value=1, version=1, actor_id="ana")
            publisher.publish(event, tenant=SYSTEM_TENANT, id="one")
        store = open_store(url)

        def ids() -> list[str]:
            with store.read() as tx:
                return list(tx.execute(text("SELECT id FROM audit_event")).scalars())

        eventually(lambda: ids() == ["one"])
        store.close()
        assert process.terminate() == 0
