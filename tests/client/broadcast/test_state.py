"""Whatever the order and the repetitions, the same events are the same state."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import (
    ConfigFlagChanged,
    ConfigSnapshotPublished,
    ConfigValueSet,
    ConfigValueUnset,
)
from trunkline.catalogue.events.query import QueryCancelled
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.broadcast.entries import Reason, Rejected
from trunkline.client.broadcast.snapshot import snapshot_events
from trunkline.client.broadcast.state import State
from trunkline.codec import Envelope, new_envelope

Enveloped = Callable[..., Envelope[Event]]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def wrapped(event: Event, tenant: str = SYSTEM_TENANT) -> Envelope[Event]:
    return new_envelope(event, tenant=TenantId(tenant), source="/config-service", time=NOW)


def value_set(
    key: str, value: Any, version: int, *, level: Any = "global", scope: str | None = None
) -> Envelope[Event]:
    event = ConfigValueSet(key=key, level=level, scope=scope, value=value, version=version, actor_id="u")
    return wrapped(event, scope if level == "tenant" and scope else SYSTEM_TENANT)


def value_unset(key: str, version: int) -> Envelope[Event]:
    return wrapped(ConfigValueUnset(key=key, level="global", version=version, actor_id="u"))


def after(*events: Envelope[Event]) -> State:
    state = State()
    for event in events:
        state.apply(event)
    return state


def value(state: State, key: str, **whose: str) -> Any:
    found = state.view().value(key, **whose)
    return None if found is None else found.value


LEVELS: st.SearchStrategy[tuple[Any, Any]] = st.sampled_from(
    [("global", None), ("environment", "prod"), ("service", "s"), ("tenant", "acme")]
)
VALUES = st.none() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(st.integers(0, 3), max_size=2)


@st.composite
def changes(draw: st.DrawFn) -> Envelope[Event]:
    key = draw(st.sampled_from(["a.b", "c"]))
    version = draw(st.integers(1, 4))
    level, scope = draw(LEVELS)
    tenant = scope if level == "tenant" else SYSTEM_TENANT
    kind = draw(st.sampled_from(["set", "unset", "flag"]))
    event: Event
    if kind == "set":
        event = ConfigValueSet(
            key=key, level=level, scope=scope, value=draw(VALUES), version=version, actor_id="u"
        )
    elif kind == "unset":
        event = ConfigValueUnset(key=key, level=level, scope=scope, version=version, actor_id="u")
    else:
        event = ConfigFlagChanged(
            key=key, version=version, enabled=draw(st.booleans()), actor_id="u", tiers=("gold",)
        )
    return wrapped(event, tenant)


@settings(deadline=None)
@given(st.lists(changes(), max_size=12), st.data())
def test_any_order_and_any_repetition_is_the_same_state(
    events: list[Envelope[Event]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(events))
    repeated = [
        *shuffled,
        *data.draw(st.lists(st.sampled_from(events), max_size=5) if events else st.just([])),
    ]
    first, second = after(*events), after(*repeated)
    assert first.entries == second.entries
    assert first.digest == second.digest == second.view().digest


@settings(deadline=None)
@given(st.lists(changes(), max_size=12), st.lists(changes(), max_size=4), st.data())
def test_a_snapshot_brings_another_instance_to_the_same_state(
    events: list[Envelope[Event]], later: list[Envelope[Event]], data: st.DataObject
) -> None:
    state = after(*events)
    snapshot = [wrapped(part) for part in snapshot_events(state.entries, snapshot_id="snap-1", version=1)]
    other = after(*data.draw(st.permutations([*snapshot, *later])))
    assert other.digest == after(*events, *later).digest


@settings(deadline=None)
@given(st.lists(changes(), max_size=8))
def test_the_digest_tells_states_apart(events: list[Envelope[Event]]) -> None:
    before = after(*events)
    more = after(*events, value_set("a.b", "another", 99))
    assert before.digest != more.digest


def test_the_narrower_level_wins() -> None:
    state = after(
        value_set("limit", 1, 1),
        value_set("limit", 2, 1, level="environment", scope="prod"),
        value_set("limit", 3, 1, level="service", scope="query-engine"),
        value_set("limit", 4, 1, level="tenant", scope="acme"),
    )
    assert value(state, "limit") == 1
    assert value(state, "limit", environment="prod") == 2
    assert value(state, "limit", environment="prod", service="query-engine") == 3
    assert value(state, "limit", environment="prod", service="query-engine", tenant="acme") == 4
    assert value(state, "limit", environment="dev", service="other", tenant="globex") == 1
    found = state.view().value("limit", tenant="acme")
    assert found is not None
    assert (found.level, found.version, found.reason) == ("tenant", 1, Reason.FOUND)


def test_an_older_set_that_comes_late_does_not_bring_an_unset_value_back() -> None:
    state = after(value_unset("limit", 8), value_set("limit", 1, 7))
    assert value(state, "limit") is None
    assert len(state) == 1
    state.apply(value_set("limit", 2, 9))
    assert value(state, "limit") == 2


def test_null_is_a_value() -> None:
    found = after(value_set("limit", None, 1)).view().value("limit")
    assert found is not None
    assert found.value is None


def test_a_view_does_not_change_any_more() -> None:
    state = after(value_set("limit", 1, 1))
    before = state.view()
    state.apply(value_set("limit", 2, 2))
    kept = before.value("limit")
    assert kept is not None
    assert kept.value == 1
    assert state.view() is state.view()


@pytest.mark.parametrize(
    ("event", "tenant", "reason"),
    [
        (ConfigValueSet(key="k", level="tenant", value=1, version=1, actor_id="u"), "acme", "invalid_scope"),
        (
            ConfigValueSet(key="k", level="global", scope="x", value=1, version=1, actor_id="u"),
            "system",
            "invalid_scope",
        ),
        (
            ConfigValueSet(key="k", level="tenant", scope="globex", value=1, version=1, actor_id="u"),
            "acme",
            "wrong_tenant",
        ),
        (ConfigValueSet(key="k", level="global", value=1, version=1, actor_id="u"), "acme", "wrong_tenant"),
        (
            ConfigValueSet(key="k", level="global", value="x" * 600_000, version=1, actor_id="u"),
            "system",
            "too_large",
        ),
        (QueryCancelled(query_id="q", user_id="u", cancelled_by="u", ran_for_ms=1), "acme", "not_config"),
    ],
)
def test_what_cannot_be_applied_is_rejected_and_changes_nothing(
    event: Event, tenant: str, reason: str
) -> None:
    state = after(value_set("k", "old", 1))
    before = state.digest
    with pytest.raises(Rejected) as caught:
        state.apply(wrapped(event, tenant))
    assert caught.value.reason == reason
    assert state.digest == before
    assert value(state, "k") == "old"


def test_a_flag_is_on_for_its_tiers_and_a_stable_share_of_the_others() -> None:
    rule = ConfigFlagChanged(
        key="new.editor", version=1, enabled=True, actor_id="u", rollout_percent=30, tiers=("gold",)
    )
    view = after(wrapped(rule)).view()

    def on(tenant: str, tier: str | None = None) -> bool:
        found = view.flag("new.editor", tenant=tenant, tier=tier, now=NOW)
        assert found is not None
        return bool(found.value)

    assert all(on(f"t-{number}", "gold") for number in range(50))
    share = sum(on(f"t-{number}") for number in range(2_000)) / 2_000
    assert 0.25 < share < 0.35
    assert [on(f"t-{number}") for number in range(50)] == [on(f"t-{number}", "free") for number in range(50)]
    assert view.flag("unknown", tenant="acme", tier=None, now=NOW) is None


def test_a_tenants_own_flag_goes_before_everybodys() -> None:
    for_all = ConfigFlagChanged(key="f", version=5, enabled=False, actor_id="u")
    own = ConfigFlagChanged(key="f", version=1, enabled=True, actor_id="u")
    view = after(wrapped(for_all), wrapped(own, "acme")).view()
    mine, others = (view.flag("f", tenant=tenant, tier=None, now=NOW) for tenant in ("acme", "globex"))
    assert mine is not None
    assert others is not None
    assert (mine.value, mine.level) == (True, "tenant")
    assert (others.value, others.level) == (False, "global")


def test_a_flag_waits_for_its_start() -> None:
    starting = ConfigFlagChanged(
        key="f", version=1, enabled=True, actor_id="u", starts_at=datetime(2026, 6, 1, tzinfo=UTC)
    )
    view = after(wrapped(starting)).view()
    early = view.flag("f", tenant="acme", tier=None, now=NOW)
    late = view.flag("f", tenant="acme", tier=None, now=datetime(2026, 6, 1, tzinfo=UTC))
    assert early is not None
    assert late is not None
    assert (early.value, late.value) == (False, True)


def large_state() -> State:
    return after(*(value_set(f"k{number}", "x" * 100_000, 1) for number in range(20)))


def test_a_snapshot_in_parts_takes_effect_when_the_last_part_is_there() -> None:
    state = large_state()
    parts = snapshot_events(state.entries, snapshot_id="snap-1", version=1)
    assert len(parts) > 1
    other = after(*(wrapped(part) for part in reversed(parts[1:])))
    assert len(other) == 0
    other.apply(wrapped(parts[0]))
    assert other.digest == state.digest == parts[0].digest


def test_a_snapshot_that_does_not_fit_its_digest_is_rejected_whole() -> None:
    (part,) = snapshot_events(after(value_set("k", 1, 7)).entries, snapshot_id="snap-1", version=1)
    damaged = ConfigSnapshotPublished(
        snapshot_id="snap-1",
        version=1,
        entries=part.entries,
        digest=part.digest,
        values=({**part.values[0], "value": 2},),
    )
    state = after(value_set("k", "old", 1))
    with pytest.raises(Rejected, match="nothing of it was applied"):
        state.apply(wrapped(damaged))
    assert value(state, "k") == "old"


def test_an_entry_of_a_snapshot_that_is_none_rejects_the_snapshot() -> None:
    broken = ConfigSnapshotPublished(
        snapshot_id="s", version=1, entries=1, digest="0" * 64, values=({"key": "k", "level": "nowhere"},)
    )
    with pytest.raises(Rejected, match=r"snapshot entry 'k'.*level"):
        State().apply(wrapped(broken))


def test_unfinished_snapshots_are_bounded() -> None:
    parts = snapshot_events(large_state().entries, snapshot_id="snap-1", version=1)
    state = State()
    for number in range(100):
        abandoned = ConfigSnapshotPublished(
            snapshot_id=f"snap-{number}", version=1, entries=2, digest="0" * 64, values=(), parts=2
        )
        state.apply(wrapped(abandoned))
    for part in parts:
        state.apply(wrapped(part))
    assert state.digest == parts[0].digest
