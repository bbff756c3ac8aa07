"""Events in the store: counted once, whatever the batches."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec
from sqlalchemy import func, inspect, select

from trunkline.catalogue.events import Event
from trunkline.codec import Envelope
from trunkline.services.quality.state import state_digest
from trunkline.services.quality.tables import METADATA, QUALITY_ANOMALY, QUALITY_CHECK, QUALITY_WINDOW
from trunkline.testing.service_desk import ServiceDesk
from trunkline.testing.suite.cases.quality import LOADED
from trunkline.testing.suite.harness import NOW

Feed = Callable[[Sequence[Envelope[Event]]], None]


def test_the_tables_are_those_of_the_migration(service: ServiceDesk) -> None:
    with service.store.read() as tx:
        inspector = inspect(tx)
        for name, table in METADATA.tables.items():
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
            assert found == {column.name: column.nullable for column in table.columns}
            assert {index["name"] for index in inspector.get_indexes(name)} >= {i.name for i in table.indexes}


def test_a_month_with_faults_is_told_of(fed: ServiceDesk) -> None:
    types = Counter(one.type for one in fed.published())
    assert types["quality.anomaly_detected.v1"] >= 4
    assert types["quality.sla_breached.v1"] == 1
    acme = [one.data for one in fed.published() if one.tenant == "acme"]
    assert {one["metric"] for one in acme if "metric" in one} >= {"rows_written", "schema"}
    fallen = next(one for one in acme if one.get("dimension") == "volume")
    assert 30 < fallen["percent"] < 60


def test_events_that_come_again_after_a_restore_change_nothing(
    fed: ServiceDesk, feed: Feed, month: Sequence[Envelope[Event]]
) -> None:
    with fed.store.read() as tx:
        before = state_digest(tx)
    number = len(fed.published())
    feed(month)
    with fed.store.read() as tx:
        assert state_digest(tx) == before
    assert len(fed.published()) == number


def test_statements_propose_checks_with_support(fed: ServiceDesk) -> None:
    table = QUALITY_CHECK.c
    query = select(table.kind, table.asset, table.params, table.support).where(table.tenant == "acme")
    with fed.store.read() as tx:
        found = {kind: (asset, params, support) for kind, asset, params, support in tx.execute(query)}
    assert found.keys() == {"not_null", "unique", "references"}
    assert found["not_null"][:2] == (LOADED, '{"column":"id"}')
    assert found["unique"][0] == "urn:table:main.customers"
    assert found["not_null"][2] > 30


def test_a_clock_that_is_ahead_closes_nobodys_windows(
    service: ServiceDesk, feed: Feed, month: Sequence[Envelope[Event]]
) -> None:
    ahead = msgspec.structs.replace(month[-1], id="ahead", time=NOW + timedelta(days=400))
    feed([ahead, *month[:20]])
    with service.store.read() as tx:
        late = tx.execute(select(func.sum(QUALITY_WINDOW.c.late))).scalar_one()
    assert late == 0
    assert (
        service.context.registry.get_sample_value(
            "trunkline_quality_events_ignored_total", {"reason": "future"}
        )
        == 1
    )


def test_the_end_of_a_tenant_leaves_nothing_of_it_and_all_of_others(fed: ServiceDesk) -> None:
    assert fed.app.eraser is not None
    with fed.store.write() as tx:
        assert sum(fed.app.eraser.erase(tx, "acme").values()) > 100
        assert sum(fed.app.eraser.erase(tx, "acme").values()) == 0
        rest = select(func.count()).select_from(QUALITY_ANOMALY)
        assert tx.execute(rest).scalar_one() > 0
