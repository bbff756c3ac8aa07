"""The service as a whole."""

from sqlalchemy import inspect

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
