"""The service as a whole."""

from contextlib import closing
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import inspect

from trunkline.client.store import open_store
from trunkline.services.pipeline.app import RunsCollector
from trunkline.services.pipeline.runs import Desk
from trunkline.services.pipeline.tables import METADATA
from trunkline.testing.service_desk import ServiceDesk


def test_the_tables_are_those_of_the_migration(service: ServiceDesk) -> None:
    with service.store.read() as tx:
        inspector = inspect(tx)
        for name, table in METADATA.tables.items():
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
            assert found == {column.name: column.nullable for column in table.columns}
            assert {index["name"] for index in inspector.get_indexes(name)} >= {i.name for i in table.indexes}


def test_runs_are_counted_by_state(service: ServiceDesk) -> None:
    with service.store.write() as tx:
        Desk.of(service.context).start(tx, "acme", job="j", namespace="n")
    sample = service.context.registry.get_sample_value
    assert sample("trunkline_pipeline_runs", {"state": "started"}) == 1
    assert sample("trunkline_pipeline_runs", {"state": "failed"}) == 0


def test_the_other_metrics_are_told_while_the_store_is_away(tmp_path: Path) -> None:
    file = tmp_path / "service.db"
    registry = CollectorRegistry()
    with closing(open_store(f"sqlite:///{file}")) as store:
        registry.register(RunsCollector(store))
        store.close()
        file.unlink(missing_ok=True)
        file.mkdir()
        assert generate_latest(registry) == b""
