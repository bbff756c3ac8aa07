"""What the service takes in from the topic, and that it is what every instance takes in."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import ConfigFlagChanged, ConfigValueSet, ConfigValueUnset
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.broadcast import snapshot
from trunkline.client.broadcast.entries import FlagRule, Name
from trunkline.client.broadcast.snapshot import snapshot_events
from trunkline.client.broadcast.state import State
from trunkline.client.handler import PermanentFailure
from trunkline.codec import Envelope, new_envelope
from trunkline.services.config import book, queries
from trunkline.services.config.tables import CONFIG_PART
from trunkline.services.kit.ending import ENDED_TENANT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def wrapped(event: Event, tenant: str = SYSTEM_TENANT) -> Envelope[Event]:
    return new_envelope(event, tenant=TenantId(tenant), source="/elsewhere", time=NOW)


def value_set(key: str, value: Any, version: int, *, tenant: str | None = None) -> Envelope[Event]:
    event = ConfigValueSet(
        key=key,
        level="tenant" if tenant else "global",
        scope=tenant,
        value=value,
        version=version,
        actor_id="u",
    )
    return wrapped(event, tenant or SYSTEM_TENANT)


def some_events() -> list[Envelope[Event]]:
    events: list[Envelope[Event]] = []
    for version in range(1, 6):
        events.append(value_set("a.b", version, version))
        events.append(value_set("a.b", "one", version, tenant="acme"))
        events.append(
            wrapped(ConfigFlagChanged(key="f", version=version, enabled=version % 2 == 0, actor_id="u"))
        )
    unset = ConfigValueUnset(key="a.b", level="tenant", scope="acme", version=6, actor_id="u")
    return [*events, wrapped(unset, "acme"), value_set("a.b", "another", 5)]


def entries_of(service: Any) -> dict[Name, Any]:
    with service.store.read() as tx:
        return book.everything(tx)


def test_any_order_and_any_batches_come_to_what_an_instance_has(
    new_service: Callable[[str], Any], tmp_path: Any
) -> None:
    events = some_events()
    state = State()
    for envelope in events:
        state.apply(envelope)
    digests = set()
    for seed in range(5):
        service = new_service(f"sqlite:///{tmp_path / str(seed)}.db")
        rng = random.Random(seed)
        mixed = rng.sample(events, len(events)) + rng.sample(events, 4)
        while mixed:
            size = rng.randint(1, 7)
            service.hear(*mixed[:size])
            mixed = mixed[size:]
        assert entries_of(service) == state.entries
        digests.add(service.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_ones_own_events_that_come_back_change_nothing_and_get_their_places(service: Any) -> None:
    service.set("a.b", 1, reason="why")
    service.flag("f", FlagRule(enabled=True), "acme")
    before = service.digest()
    assert [one.place for one in changes(service)] == [None, None]
    service.hear(*service.published())
    service.hear(*service.published())
    assert service.digest() == before
    assert [(one.place, one.origin) for one in changes(service)] == [(2, "set"), (1, "set")]


def changes(service: Any) -> list[Any]:
    with service.store.read() as tx:
        return [change for _, change in queries.history(tx, queries.Wanted(), limit=100)]


def test_a_store_that_was_replaced_counts_on_behind_the_topic(
    service: Any, new_service: Callable[[str], Any], tmp_path: Any
) -> None:
    for value in range(4):
        service.set("a.b", value)
    empty = new_service(f"sqlite:///{tmp_path / 'empty'}.db")
    empty.hear(*service.published())
    assert empty.set("a.b", "next").version == 5
    assert empty.digest() != service.digest()


def test_what_no_instance_can_apply_is_a_failure_of_that_event(service: Any) -> None:
    event = ConfigValueSet(key="a.b", level="global", value=1, version=1, actor_id="u")
    with pytest.raises(PermanentFailure, match="wrong_tenant"):
        service.hear(wrapped(event, "acme"))
    assert service.entries() == {}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[Envelope[Event]]:
    """A snapshot in several parts."""
    monkeypatch.setattr(snapshot, "PART_BYTES_MAX", 100)
    state = State()
    for envelope in some_events():
        state.apply(envelope)
    events = snapshot_events(state.entries, snapshot_id="snap-1", version=1)
    assert len(events) > 1
    return [wrapped(event) for event in events]


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_a_snapshot_counts_when_all_its_parts_are_there(service: Any, parts: list[Envelope[Event]]) -> None:
    random.Random(1).shuffle(parts)
    for part in parts[:-1]:
        service.hear(part, part)
        assert service.entries() == {}
    service.hear(parts[-1])
    state = State()
    for part in parts:
        state.apply(part)
    assert entries_of(service) == state.entries
    assert service.set("a.b", "next").version == 6
    with service.store.read() as tx:
        assert tx.execute(CONFIG_PART.select()).all() == []


def test_a_damaged_snapshot_is_refused_whole(service: Any, parts: list[Envelope[Event]]) -> None:
    import msgspec

    torn: Any = parts[-1].data
    broken = wrapped(msgspec.structs.replace(torn, values=torn.values[:-1]))
    service.hear(*parts[:-1])
    with pytest.raises(PermanentFailure, match="damaged_snapshot"):
        service.hear(broken)
    assert service.entries() == {}
    service.hear(parts[-1])
    assert service.entries()


def test_snapshots_that_never_get_whole_are_forgotten(service: Any, parts: list[Envelope[Event]]) -> None:
    import msgspec

    first: Any = parts[0].data
    for number in range(40):
        service.hear(
            wrapped(msgspec.structs.replace(first, snapshot_id=f"dead-{number:02}", version=number + 2))
        )
    with service.store.read() as tx:
        assert len(tx.execute(CONFIG_PART.select()).all()) <= 16


def test_a_snapshot_brings_back_nothing_of_a_tenant_that_has_ended(service: Any, name: Any) -> None:
    state = State()
    for envelope in (value_set("a.b", 1, 3, tenant="acme"), value_set("a.b", 2, 1), *unset_of("globex")):
        state.apply(envelope)
    row = {"tenant": "acme", "deletion_id": "d", "deleted_us": 0, "ended_us": 0}
    with service.store.write() as tx:
        tx.execute(insert(ENDED_TENANT), [row, row | {"tenant": "globex"}])
    for part in snapshot_events(state.entries, snapshot_id="snap-1", version=1):
        service.hear(wrapped(part))
    assert service.entries() == {name("a.b"): 2}
    # That something is unset is no data of the tenant, and instances count it into their digest.
    assert name("a.c", "tenant", "globex") in entries_of(service)


def unset_of(tenant: str) -> list[Envelope[Event]]:
    event = ConfigValueUnset(key="a.c", level="tenant", scope=tenant, version=2, actor_id="u")
    return [wrapped(event, tenant)]
