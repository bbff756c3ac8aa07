"""By the clock: heartbeats, snapshots, ended overrides; each once, however many instances there are."""

import threading
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from trunkline.catalogue.events.policy import PolicyHeartbeat
from trunkline.client import failpoints
from trunkline.services.governance import asset_queries, queries
from trunkline.services.governance.metrics import GovernanceMetrics
from trunkline.services.governance.pulse import HEARTBEAT, SNAPSHOT_EVERY, Pulse, PulseThread
from trunkline.services.policies.bundle import Bundles
from trunkline.testing.consuming import eventually
from trunkline.testing.governance_desk import ORDERS, TENANT, Governance, draft, failed

BEAT = "policy.heartbeat.v1"
SNAPSHOT = "policy.snapshot_published.v1"


def pulse(governance: Governance, registry: CollectorRegistry | None = None) -> Pulse:
    return Pulse(
        governance.store,
        governance.outbox,
        governance.rulebook,
        GovernanceMetrics(registry or CollectorRegistry()),
        wall=lambda: governance.now,
    )


def test_a_heartbeat_goes_out_every_five_seconds(governance: Governance) -> None:
    one = pulse(governance)
    for seconds in range(12):
        one.look()
        governance.now += timedelta(seconds=1)
        assert len(governance.published(BEAT)) == seconds // 5 + 1
    beats = governance.published(BEAT)
    assert [beat.sequence for beat in beats] == [1, 2, 3]
    assert all(isinstance(beat, PolicyHeartbeat) and beat.every_ms == 5_000 for beat in beats)
    assert {tenant for name, _, tenant, _ in governance.envelopes() if name == BEAT} == {"system"}


def test_of_several_instances_one_sends_it(governance: Governance) -> None:
    instances = [pulse(governance) for _ in range(4)]
    barrier = threading.Barrier(len(instances))

    def look(instance: Pulse) -> None:
        barrier.wait()
        instance.look()

    threads = [threading.Thread(target=look, args=(one,)) for one in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(governance.published(BEAT)) == 1


def test_a_clock_that_was_set_back_stops_no_heartbeat(governance: Governance) -> None:
    one = pulse(governance)
    one.look()
    governance.now -= timedelta(hours=1)
    one.look()
    assert len(governance.published(BEAT)) == 2


def test_a_heartbeat_tells_the_state_of_all_bundles(governance: Governance) -> None:
    one = pulse(governance)
    one.look()
    governance.publish(draft(), tenant="acme")
    governance.publish(draft(), tenant="globex")
    governance.now += HEARTBEAT
    one.look()
    first, second = governance.published(BEAT)
    assert (first.bundles, second.bundles) == (0, 2)
    assert first.digest != second.digest


def test_a_bundle_is_repeated_at_once_and_then_every_hour(governance: Governance) -> None:
    one = pulse(governance)
    governance.publish(draft())
    one.look()
    one.look()
    assert len(governance.published(SNAPSHOT)) == 1
    governance.now += SNAPSHOT_EVERY
    one.look()
    assert len(governance.published(SNAPSHOT)) == 2


def test_who_hears_nothing_but_a_snapshot_has_the_bundle(governance: Governance) -> None:
    governance.publish(draft("a"), draft("b"))
    governance.report(failed())
    pulse(governance).look()
    bundles = Bundles(TENANT)
    for event in governance.published(SNAPSHOT):
        bundles.apply(event)
    assert bundles.active == governance.read(lambda tx: queries.bundle(tx, TENANT))


def test_a_tenant_without_policies_has_nothing_to_repeat(governance: Governance) -> None:
    governance.report(failed(asset="urn:model:churn"))
    pulse(governance).look()
    assert governance.published(SNAPSHOT) == []


def test_an_override_that_is_over_is_ended_once(governance: Governance) -> None:
    governance.report(failed())
    governance.hold(ORDERS, "released", hours=1)
    one, other = pulse(governance), pulse(governance)
    one.look()
    assert governance.read(lambda tx: asset_queries.asset(tx, TENANT, ORDERS)).mode is None
    governance.now += timedelta(hours=1)
    one.look()
    other.look()
    view = governance.read(lambda tx: asset_queries.asset(tx, TENANT, ORDERS))
    assert (view.mode, view.override) == ("enforce", None)
    assert len(governance.published("policy.asset_quarantined.v1")) == 2


def test_metrics_count_what_is_stored(governance: Governance) -> None:
    registry = CollectorRegistry()
    governance.report(failed(), failed("b", "urn:model:m"))
    governance.hold("x.y", "warn")
    pulse(governance, registry).look()
    value = registry.get_sample_value
    assert value("trunkline_governance_quarantined_assets", {"mode": "enforce"}) == 2
    assert value("trunkline_governance_quarantined_assets", {"mode": "warn"}) == 1
    assert value("trunkline_governance_overrides") == 1
    assert value("trunkline_governance_bundles") == 1
    assert value("trunkline_governance_heartbeats_total") == 1
    assert value("trunkline_governance_snapshots_total") == 1


@pytest.mark.parametrize("place", ["governance.beaten", "governance.repeated", "governance.override_ended"])
def test_a_crash_between_two_pieces_of_work_repeats_none(governance: Governance, place: str) -> None:
    def die(name: str) -> None:
        if name == place:
            raise ZeroDivisionError

    governance.report(failed())
    governance.hold(ORDERS, "released", hours=1)
    governance.now += timedelta(hours=2)
    failpoints.install(die)
    try:
        with pytest.raises(ZeroDivisionError):
            pulse(governance).look()
    finally:
        failpoints.install(None)
    pulse(governance).look()
    names = [name for name, _, _, _ in governance.envelopes()]
    assert (names.count(BEAT), names.count(SNAPSHOT)) == (1, 1)
    assert names.count("policy.asset_quarantined.v1") == 2


def test_the_thread_beats_at_once_and_wakes_the_relay(governance: Governance) -> None:
    woken = threading.Event()
    thread = PulseThread(pulse(governance), wake=woken.set, on_failure=pytest.fail)  # type: ignore[arg-type]
    thread.stop()
    thread = PulseThread(pulse(governance), wake=woken.set, on_failure=pytest.fail)  # type: ignore[arg-type]
    thread.start()
    eventually(woken.is_set)
    thread.stop()
    thread.stop()
    assert len(governance.published(BEAT)) == 1
