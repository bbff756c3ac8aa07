"""The generated platform: repeatable, complete, causally linked, and valid to the last event."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.events.config import (
    ConfigFlagChanged,
    ConfigSnapshotPublished,
    ConfigValueSet,
    ConfigValueUnset,
)
from trunkline.catalogue.events.model import ModelRegistered, ModelVersionCreated
from trunkline.catalogue.events.policy import PolicyBundleActivated
from trunkline.catalogue.events.query import QueryCompleted
from trunkline.catalogue.events.usage import UsageThresholdReached
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.broadcast.state import State
from trunkline.codec import encode_checked
from trunkline.errors import InvalidInput
from trunkline.sources.workload import MeasuredQuery, Produced, workload

TENANTS = [TenantId("acme"), TenantId("globex"), TenantId("initech")]
START = datetime(2026, 11, 23, 7, tzinfo=UTC)
EVENTS = 6_000

QUERIES = tuple(
    MeasuredQuery(
        sql=f"SELECT {number}",
        fingerprint=f"{number:064x}",
        tables=("urn:table:tpch.orders",),
        duration_us=100 + number,
        cpu_us=90 + number,
        rows_returned=number,
        rows_scanned=10 * number,
        bytes_scanned=0,
        error_code="binder_error" if number == 3 else None,
        error="no such column" if number == 3 else None,
    )
    for number in range(4)
)


class Ticking:
    """A clock that moves a millisecond each time somebody looks."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


def stream(seed: int = 7, tenants: list[TenantId] | None = None) -> Iterator[Produced]:
    return workload(seed, TENANTS if tenants is None else tenants, clock=Ticking(), queries=QUERIES)


@pytest.fixture(scope="module")
def events() -> list[Produced]:
    return list(islice(stream(), EVENTS))


def test_the_same_seed_gives_the_same_bytes(events: list[Produced]) -> None:
    again = list(islice(stream(), 500))
    assert [encode_checked(item.envelope) for item in again] == [
        encode_checked(item.envelope) for item in events[:500]
    ]


def test_another_seed_gives_other_ids(events: list[Produced]) -> None:
    other = {item.envelope.id for item in islice(stream(seed=8), 500)}
    assert other.isdisjoint(item.envelope.id for item in events)


def test_every_type_of_event_comes_up_but_the_end_of_a_tenant_and_what_only_governance_can_say() -> None:
    """A tenant that was deleted has no events any more, so a stream that goes on never deletes one."""
    seen = {item.envelope.type for item in islice(stream(), 30_000)}
    governance = {"policy.heartbeat.v1", "policy.snapshot_published.v1"}
    assert set(EVENT_TYPES) - seen == {"tenant.deleted.v1", *governance}


def test_no_identity_comes_twice(events: list[Produced]) -> None:
    identities = {(item.envelope.tenantid, item.envelope.source, item.envelope.id) for item in events}
    assert len(identities) == EVENTS


def test_every_event_is_valid(events: list[Produced]) -> None:
    for item in events:
        encode_checked(item.envelope)


@pytest.mark.parametrize("tenants", [TENANTS[:1], TENANTS])
def test_all_ten_topics_are_reached_early(tenants: list[TenantId]) -> None:
    early = {item.topic for item in islice(stream(tenants=tenants), 300)}
    assert early == set(load_catalogue().topics)


def test_each_event_comes_from_the_publisher_of_its_topic(events: list[Produced]) -> None:
    catalogue = load_catalogue()
    for item in events:
        assert item.service == catalogue.topic(item.topic).publisher
        assert item.envelope.source.startswith(f"//{item.service}/")


def test_every_tenant_is_created_and_activated_before_anything_else_of_it(events: list[Produced]) -> None:
    first: dict[TenantId, list[str]] = defaultdict(list)
    for item in events:
        if item.envelope.type != "tenant.provisioning_failed.v1":
            first[item.envelope.tenantid].append(item.envelope.type)
    assert set(first) == set(TENANTS)
    assert all(types[:2] == ["tenant.created.v1", "tenant.activated.v1"] for types in first.values())


def test_a_cause_is_an_earlier_event_of_the_same_tenant_and_correlation(events: list[Produced]) -> None:
    seen: dict[str, Produced] = {}
    linked = 0
    for item in events:
        envelope = item.envelope
        if envelope.causationid is not None:
            cause = seen[envelope.causationid].envelope
            assert (cause.tenantid, cause.correlationid) == (envelope.tenantid, envelope.correlationid)
            linked += 1
        else:
            assert envelope.correlationid == envelope.id
        seen[envelope.id] = item
    assert linked > EVENTS / 2


def test_versions_count_up_without_gaps_in_the_order_of_the_stream(events: list[Produced]) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for item in events:
        match item.envelope.data:
            case ModelVersionCreated(model=name, version=version):
                kind = f"model {name}"
            case ConfigFlagChanged(key=name, version=version):
                kind = f"flag {name}"
            case ConfigValueSet(key=name, version=version) | ConfigValueUnset(key=name, version=version):
                kind = f"setting {name}"
            case PolicyBundleActivated(revision=version):
                kind = "bundle"
            case _:
                continue
        counted[item.envelope.tenantid, kind] += 1
        assert version == counted[item.envelope.tenantid, kind]
    assert len(counted) > 20


def test_every_config_event_can_be_applied_and_a_snapshot_says_nothing_new(events: list[Produced]) -> None:
    state = State()
    snapshots = 0
    for item in events:
        if item.topic == "config.change.events":
            before = state.digest
            state.apply(item.envelope)
            if isinstance(item.envelope.data, ConfigSnapshotPublished):
                snapshots += 1
                assert state.digest == before
    assert snapshots > 0


def test_a_model_is_registered_once_and_before_its_versions(events: list[Produced]) -> None:
    registered: set[tuple[str, str]] = set()
    for item in events:
        match item.envelope.data:
            case ModelRegistered(model=name):
                assert (item.envelope.tenantid, name) not in registered
                registered.add((item.envelope.tenantid, name))
            case ModelVersionCreated(model=name):
                assert (item.envelope.tenantid, name) in registered


def test_a_threshold_is_reached_once_a_period_and_counts_what_was_published(events: list[Produced]) -> None:
    completed: Counter[str] = Counter()
    reached: set[tuple[str, str, str, int]] = set()
    for item in events:
        tenant = item.envelope.tenantid
        match item.envelope.data:
            case QueryCompleted():
                completed[tenant] += 1
            case UsageThresholdReached(meter=meter, period=period, level_percent=level, used=used):
                assert (tenant, meter, period, level) not in reached
                reached.add((tenant, meter, period, level))
                if meter == "QUERY_EXECUTIONS":
                    assert int(used) <= completed[tenant]
    assert reached


def test_times_come_from_the_clock_alone(events: list[Produced]) -> None:
    times = [item.envelope.time for item in events]
    assert times == sorted(times)
    assert START < times[0] < times[-1] < START + timedelta(minutes=5)


def test_more_tenants_than_stories_at_once_all_get_their_turn() -> None:
    tenants = [TenantId(f"t{number}") for number in range(60)]
    seen = {item.envelope.tenantid for item in islice(stream(tenants=tenants), 6_000)}
    assert seen == set(tenants)


def test_generating_is_not_what_limits_a_feed() -> None:
    began = time.perf_counter()
    count = sum(1 for _ in islice(stream(), 5_000))
    assert count / (time.perf_counter() - began) > 5_000


def test_a_workload_of_nobody_or_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one tenant"):
        stream(tenants=[])
    with pytest.raises(InvalidInput, match="at least one measured query"):
        workload(1, TENANTS, clock=Ticking(), queries=())


def test_a_catalogue_without_one_of_the_topics_is_refused() -> None:
    whole = load_catalogue()
    topics = {name: topic for name, topic in whole.topics.items() if name != "ml.model.events"}
    with pytest.raises(InvalidInput, match=r"lacks ml\.model\.events"):
        workload(1, TENANTS, clock=Ticking(), queries=QUERIES, catalogue=replace(whole, topics=topics))
