"""What quality events lead to: quarantine, release, tags; the events say so and name the revision."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from trunkline.catalogue.events.policy import (
    AssetQuarantined,
    AssetReleased,
    PolicyBundleActivated,
    PolicyPublished,
)
from trunkline.catalogue.events.quality import AnomalyDetected, AnomalyResolved, QualitySlaBreached
from trunkline.services.governance import asset_queries, queries
from trunkline.services.governance.tables import CHECK
from trunkline.services.policies.bundle import Bundles
from trunkline.testing.governance_desk import (
    ORDERS,
    START,
    TENANT,
    Governance,
    draft,
    failed,
    passed,
)

Governed = Callable[..., Governance]
QUARANTINE = "quarantine:table:main.orders"


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """SQLite alone: the suite of all services gives the handler both databases."""
    return f"sqlite:///{tmp_path / 'governance.db'}"


def asset(governance: Governance, name: str = ORDERS) -> asset_queries.AssetView:
    found = governance.read(lambda tx: asset_queries.asset(tx, TENANT, name))
    assert isinstance(found, asset_queries.AssetView)
    return found


def test_one_error_keeps_readers_away_by_default(governance: Governance) -> None:
    governance.report(failed(message="12 rows are null"))
    quarantined, published, activated = governance.published()
    assert isinstance(quarantined, AssetQuarantined)
    assert isinstance(published, PolicyPublished)
    assert isinstance(activated, PolicyBundleActivated)
    assert quarantined.asset == ORDERS
    assert quarantined.mode == "enforce"
    assert quarantined.reason == "chk-1: error: 1 of 1 runs (12 rows are null)"
    assert (published.policy_id, published.kind, published.scope) == (QUARANTINE, "quarantine", ORDERS)
    assert published.body == (
        'forbid (principal, action, resource) unless { principal in [Role::"data-steward"] };'
    )
    assert (activated.revision, activated.members) == (1, {QUARANTINE: 1})
    assert asset(governance).mode == "enforce"
    assert asset(governance).decision_id == quarantined.decision_id


def test_the_decision_names_its_cause_and_the_revision_that_enforces_it(governance: Governance) -> None:
    governance.report(failed())
    (decision,) = governance.read(lambda tx: asset_queries.decisions(tx, TENANT, asset=ORDERS, limit=9))
    assert decision.revision == 1
    assert (decision.cause_source, decision.cause_id) == ("/data-quality-service", "event-1")
    assert decision.rule == "error: 1 of 1 runs"
    assert governance.read(lambda tx: asset_queries.decision(tx, TENANT, decision.id)) == decision


def test_what_is_published_has_the_time_and_the_chain_of_its_cause(governance: Governance) -> None:
    governance.report(failed(), at=START - timedelta(days=3))
    for _, _, tenant, headers in governance.envelopes():
        assert tenant == TENANT
        assert headers["ce_time"] == "2026-11-20T08:00:00Z"
        assert headers["ce_causationid"] == "event-1"
        assert headers["ce_correlationid"] == "chain"


def test_an_asset_is_released_after_enough_passes_in_a_row(governance: Governance) -> None:
    governance.report(failed(), passed())
    assert asset(governance).mode == "enforce"
    governance.report(passed())
    assert asset(governance).mode is None
    (quarantined,) = governance.published("policy.asset_quarantined.v1")
    (released,) = governance.published("policy.asset_released.v1")
    assert isinstance(released, AssetReleased)
    assert released.quarantine_id == quarantined.decision_id
    *_, last = governance.published("policy.bundle_activated.v1")
    assert (last.revision, last.members, last.previous_revision) == (2, {}, 1)


def test_an_asset_is_released_when_the_last_of_its_checks_is(governance: Governance) -> None:
    governance.report(failed("a"), failed("b"), passed("a"), passed("a"))
    assert asset(governance).mode == "enforce"
    assert len(governance.published("policy.asset_quarantined.v1")) == 1
    governance.report(passed("b"), passed("b"))
    assert asset(governance).mode is None


def test_a_stronger_mode_takes_the_place_of_a_weaker_one(governed: Governed) -> None:
    governance = governed(error={"fails": 1, "runs": 1, "mode": "warn"})
    governance.report(failed("a"), failed("b", severity="critical"))
    modes = [event.mode for event in governance.published("policy.asset_quarantined.v1")]
    assert modes == ["warn", "enforce"]
    assert governance.published("policy.bundle_activated.v1")[-1].members == {QUARANTINE: 2}
    governance.report(passed("b"), passed("b"))
    assert asset(governance).mode == "enforce"


def test_a_rule_of_the_tenant_s_own_counts(governed: Governed) -> None:
    governance = governed(error={"fails": 2, "runs": 5}, release_passes=1)
    governance.report(failed(), passed(), passed())
    assert asset(governance).mode is None
    governance.report(failed())
    assert asset(governance).mode == "enforce"
    governance.report(passed())
    assert asset(governance).mode is None


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_a_warning_quarantines_nothing_by_default(governance: Governance, severity: str) -> None:
    governance.report(failed(severity=severity))  # type: ignore[arg-type]
    assert governance.published() == []


def test_an_asset_that_is_no_table_is_announced_and_nothing_enforces_it(governance: Governance) -> None:
    governance.report(failed(asset="urn:model:churn"))
    (event,) = governance.published()
    assert isinstance(event, AssetQuarantined)
    (decision,) = governance.read(
        lambda tx: asset_queries.decisions(tx, TENANT, asset="urn:model:churn", limit=9)
    )
    assert decision.revision is None


def test_a_column_keeps_readers_from_its_table(governance: Governance) -> None:
    governance.report(failed(asset="urn:column:main.orders.total"))
    (published,) = governance.published("policy.published.v1")
    assert published.scope == ORDERS


def test_spellings_of_one_table_are_one_asset(governance: Governance) -> None:
    governance.report(failed(asset="Orders"), passed(asset="MAIN.orders"), passed(asset=ORDERS))
    assert asset(governance).mode is None
    assert len(governance.published("policy.asset_quarantined.v1")) == 1


def test_a_late_failure_between_passes_does_not_quarantine_again(governance: Governance) -> None:
    governance.report(passed(), at=START + timedelta(hours=2))
    governance.report(passed(), at=START + timedelta(hours=3))
    governance.report(failed(), at=START + timedelta(hours=1))
    assert asset(governance).mode is None
    assert governance.published() == []


def test_events_that_come_again_do_nothing(governance: Governance) -> None:
    received = [
        governance.received(event, number=number, time=START + timedelta(seconds=number))
        for number, event in enumerate((failed(), passed(), passed(), failed()))
    ]
    governance.apply(received)
    before = governance.digest(), governance.published()
    governance.apply(received)
    governance.apply(received[:1])
    assert (governance.digest(), governance.published()) == before


def test_batches_of_any_size_come_to_the_same_revisions(governed: Governed, tmp_path: Path) -> None:
    events = [failed("a"), failed("b", "x.y"), passed("a"), passed("a"), failed("a"), passed("b", "x.y")] * 3
    whole = governed()
    single = governed(f"sqlite:///{tmp_path / 'other.db'}")
    received = [
        whole.received(event, number=number, time=START + timedelta(seconds=number))
        for number, event in enumerate(events)
    ]
    whole.apply(received)
    for one in received:
        single.apply([one])
    assert whole.digest() == single.digest()
    assert [one[:2] for one in whole.envelopes()] == [one[:2] for one in single.envelopes()]


def test_tenants_of_one_batch_do_not_mix(governance: Governance) -> None:
    received = [
        governance.received(failed(), number=number, time=START, tenant=tenant)
        for number, tenant in enumerate(("globex", "acme", "globex"))
    ]
    governance.apply(received)
    assert governance.read(lambda tx: queries.bundle(tx, "acme")).revision == 1
    assert governance.read(lambda tx: queries.bundle(tx, "globex")).revision == 1


def test_an_enforcer_that_follows_the_events_has_the_same_bundle(governance: Governance) -> None:
    governance.publish(draft())
    governance.report(failed(), failed("b", "x.y"), passed(), passed())
    governance.revoke("p-eu")
    bundles = Bundles(TENANT)
    for event in governance.published():
        bundles.apply(event)
    assert bundles.incomplete is None
    assert bundles.active == governance.read(lambda tx: queries.bundle(tx, TENANT))
    assert set(bundles.active.members) == {"quarantine:table:x.y"}


def anomaly(number: int = 1) -> AnomalyDetected:
    return AnomalyDetected(
        anomaly_id=f"an-{number}",
        asset=ORDERS,
        metric="rows_written",
        observed=310.0,
        expected_low=2800.0,
        expected_high=3200.0,
        score=0.97,
    )


def test_an_anomaly_only_tags_until_it_is_resolved(governance: Governance) -> None:
    governance.report(anomaly(1), anomaly(2))
    assert [tag.ref for tag in asset(governance).tags] == ["an-1", "an-2"]
    assert asset(governance).tags[0].detail == "rows_written is 310, expected 2800 to 3200"
    governance.report(AnomalyResolved(anomaly_id="an-1", asset=ORDERS, metric="rows_written", lasted_ms=1))
    assert [tag.ref for tag in asset(governance).tags] == ["an-2"]
    assert governance.published() == []


def test_a_broken_agreement_tags_until_a_check_of_its_dimension_passes_later(governance: Governance) -> None:
    breach = QualitySlaBreached(
        sla_id="sla-1", asset=ORDERS, dimension="freshness", due_at=START, severity="critical"
    )
    fresh = msgspec.structs.replace(passed("fresh"), dimension="freshness")
    governance.report(breach, at=START)
    governance.report(passed(), at=START + timedelta(hours=1))
    governance.report(fresh, at=START - timedelta(hours=1))
    assert [tag.tag for tag in asset(governance).tags] == ["sla_breached"]
    governance.report(msgspec.structs.replace(fresh, check_id="f2"), at=START + timedelta(hours=1))
    assert asset(governance).tags == []
    assert governance.published() == []


def test_what_is_kept_of_a_check_does_not_grow(governance: Governance) -> None:
    governance.report(*(passed() for _ in range(100)))
    before = governance.read(lambda tx: tx.execute(select(CHECK.c.results)).scalar_one())
    governance.report(*(passed() for _ in range(100)))
    after = governance.read(lambda tx: tx.execute(select(CHECK.c.results)).scalar_one())
    assert len(after) == len(before)
