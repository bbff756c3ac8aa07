"""What can be changed, what is refused, and that instances come to what the service has."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, update

from trunkline.client.broadcast.entries import ENTRY_BYTES_MAX, FlagRule, Name, digest_text
from trunkline.errors import InvalidInput
from trunkline.services.config import book, changes
from trunkline.services.config.changes import Rules, VersionConflict
from trunkline.services.config.tables import CONFIG_ENTRY
from trunkline.services.kit.ending import ENDED_TENANT, TenantEnded


def test_a_change_is_on_record_and_on_its_way_with_the_next_version(service: Any, name: Any) -> None:
    first = service.set("export.rows_max", 5)
    second = service.set("export.rows_max", {"a": [1, None]}, reason="more")
    assert (first.outcome, first.version, second.version) == ("changed", 1, 2)
    assert service.entries() == {name("export.rows_max"): {"a": [1, None]}}
    assert [(one.type, one.tenantid, one.data.version) for one in service.published()] == [
        ("config.value_set.v1", "system", 1),
        ("config.value_set.v1", "system", 2),
    ]
    assert service.wakes == [1, 1]


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_instances_have_the_digest_of_the_store(service: Any) -> None:
    service.set("export.rows_max", 1.0, "tenant", "acme")
    service.set("export.rows_max", 5, "service", "query-engine")
    service.set("export.rows_max", 6, "environment", "production")
    service.flag("ui.editor", FlagRule(enabled=True, rollout_percent=25, tiers=("gold",)))
    service.flag("ui.editor", FlagRule(enabled=False), "acme")
    service.unset("export.rows_max", "tenant", "acme")
    service.unset("ui.editor", "tenant", "acme", "flag")
    with service.store.read() as tx:
        entries = book.everything(tx)
    assert service.instance().digest == digest_text(sum(entry.digest for entry in entries.values()))
    assert service.instance().entries == entries


def test_what_is_so_already_is_not_published_again(service: Any) -> None:
    service.set("export.rows_max", 1)
    again = service.set("export.rows_max", 1)
    assert (again.outcome, again.version) == ("unchanged", 1)
    assert service.set("export.rows_max", 1.0).version == 2
    yes = True
    assert service.set("export.rows_max", yes).version == 3
    service.unset("export.rows_max")
    assert service.unset("export.rows_max").outcome == "unchanged"
    assert len(service.published()) == 4


METER = {"event_type": "query.completed.v1", "aggregation": "sum", "value": "cpu_us", "unit": "ticks"}


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_a_limit_on_a_meter_that_there_is_not_is_refused(service: Any) -> None:
    plan, quota = {"limits": {"LLM_TOKNS": 5}}, {"limit": 1_000}
    with pytest.raises(
        InvalidInput, match=r"plans\.free: there is no meter LLM_TOKNS; did you mean LLM_TOKENS"
    ):
        service.set("billing.plans.free", plan)
    with pytest.raises(InvalidInput, match="there is no meter CPU_TICKS"):
        service.set("billing.quotas.cpu_ticks", quota, "tenant", "acme")
    service.set("billing.quotas.llm_tokens", quota, "tenant", "acme")
    service.set("billing.meters.cpu_ticks", METER)
    service.set("billing.quotas.cpu_ticks", quota, "tenant", "acme")
    service.set("billing.plans.free", {"prices": {"CPU_TICKS": "0.5"}})
    service.unset("billing.meters.cpu_ticks")
    assert service.set("billing.quotas.cpu_ticks", quota).version == 1, "billing counts it on"


def test_a_meter_does_not_come_to_mean_something_else(service: Any) -> None:
    service.set("billing.meters.cpu_ticks", METER)
    with pytest.raises(InvalidInput, match="CPU_TICKS is a sum of ticks and stays one"):
        service.set("billing.meters.cpu_ticks", METER | {"version": 2, "unit": "seconds"})
    service.set(
        "billing.meters.cpu_ticks",
        METER | {"version": 2, "factor": "2", "effective_from": "2026-12-01T00:00:00Z"},
    )
    built_in = {"event_type": "query.completed.v1", "aggregation": "count", "unit": "queries"}
    with pytest.raises(InvalidInput, match="LLM_TOKENS is a sum of tokens and stays one"):
        service.set("billing.meters.llm_tokens", built_in | {"version": 2})


def test_a_version_counts_on_behind_an_unset_one(service: Any) -> None:
    service.set("export.rows_max", 1)
    service.unset("export.rows_max")
    assert service.set("export.rows_max", 1).version == 3


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_a_change_for_another_version_is_a_conflict(service: Any) -> None:
    service.set("export.rows_max", 1, expected=0)
    with pytest.raises(VersionConflict, match=r"export\.rows_max has version 1, not 0"):
        service.set("export.rows_max", 2, expected=0)
    assert service.set("export.rows_max", 2, expected=1).version == 2
    assert len(service.published()) == 2


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        (("Bad", "global", None), "use words of a-z"),
        (("a.b", "global", "acme"), "the level global has no scope"),
        (("a.b", "tenant", None), "say which tenant"),
        (("a.b", "tenant", "no/tenant"), "use up to 64 letters"),
        (("a.b", "tenant", "system"), "system is no tenant"),
        (("a.b", "service", "query-engin"), "unknown service 'query-engin'; did you mean query-engine"),
        (("a.b", "environment", "test"), "unknown environment 'test'"),
        (("a.b", "environment", None), "say which environment"),
        (
            ("billing.tariff.x", "global", None),
            "; did you mean billing.tariffs.*",
        ),
        (("billing.tariffs.x", "service", "query-engine"), "cannot be set on the level service"),
        (("a.b", "service", "query-engine", "flag"), "flags are set on the levels global and tenant"),
    ],
)
def test_a_name_that_cannot_be_set_is_refused(rules: Rules, name: Any, about: Any, reason: str) -> None:
    value = FlagRule(enabled=True) if len(about) == 4 else {"price": 1}
    with pytest.raises(InvalidInput) as raised:
        changes.check(changes.Draft(name=name(*about), value=value, actor="ana"), rules)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("billing.tariffs.x", {"price": "1"}, "billing.tariffs.x: Expected `int`, got `str` - at `$.price`"),
        ("billing.tariffs.x", {"price": 0}, "billing.tariffs.x gives money away"),
        ("a.b", float("nan"), "is not JSON"),
        ("a.b", {1: 2}, "is not JSON"),
        ("a.b", object(), "is not JSON"),
        ("a.b", "\ud800", "is not JSON"),
        ("a.b", "x" * ENTRY_BYTES_MAX, "set a reference"),
        ("a.password", "hunter2", "a.password is called password; every service would know it"),
        ("a.b", {"smtp": {"password": "hunter2"}}, "a.b.smtp.password is called password"),
        ("a.b", ["postgresql://me:hunter2@host/db"], "looks like a URL with a password"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    rules: Rules, name: Any, key: str, value: Any, reason: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        changes.check(changes.Draft(name=name(key), value=value, actor="ana"), rules)
    assert reason in str(raised.value)


def test_what_is_refused_is_neither_on_record_nor_published(service: Any) -> None:
    with pytest.raises(InvalidInput):
        service.set("billing.tariffs.x", {"price": 0})
    assert (service.entries(), service.published(), service.wakes) == ({}, [], [])


def test_a_flag_beyond_its_bounds_is_refused(service: Any) -> None:
    with pytest.raises(InvalidInput, match=r"flag ui\.editor: Expected `int` <= 100"):
        service.flag("ui.editor", FlagRule(enabled=True, rollout_percent=101))


def test_what_was_set_before_its_definition_can_be_taken_away(service: Any) -> None:
    service.set("shipping.old", 1)
    with service.store.write() as tx:
        tx.execute(update(CONFIG_ENTRY).values(key="billing.old"))
    assert service.unset("billing.old").version == 2


def test_the_settings_of_one_tenant_are_bounded(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "TENANT_ENTRIES_MAX", 2)
    service.set("a.b", 1, "tenant", "acme")
    service.set("a.c", 1, "tenant", "acme")
    with pytest.raises(InvalidInput, match="tenant acme has 2 settings and flags of its own, no more"):
        service.set("a.d", 1, "tenant", "acme")
    service.set("a.b", 2, "tenant", "acme")
    service.set("a.d", 1, "tenant", "globex")


def test_nothing_can_be_set_for_a_tenant_that_has_ended(service: Any) -> None:
    row = {"tenant": "acme", "deletion_id": "d", "deleted_us": 0, "ended_us": 0}
    with service.store.write() as tx:
        tx.execute(insert(ENDED_TENANT), [row])
    with pytest.raises(TenantEnded):
        service.set("a.b", 1, "tenant", "acme")


def test_instances_that_change_one_name_at_once_never_give_a_version_twice(
    new_service: Callable[[str], Any], store_url: str
) -> None:
    services = [new_service(store_url) for _ in range(3)]

    def change(number: int) -> None:
        for count in range(10):
            services[number].set("a.b", [number, count])

    threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [envelope.data.version for envelope in services[0].published()]
    assert versions == list(range(1, 31))


def test_a_rollback_is_a_new_version_of_the_old_value(service: Any, name: Name) -> None:
    service.set("a.b", "old")
    service.set("a.b", "new")
    service.unset("a.b")
    back = service.desk.rollback(Name("value", "global", None, "a.b"), 1, actor="bob")
    assert back.version == 4
    assert service.published()[-1].data.value == "old"
    assert service.published()[-1].data.reason == "back to version 1"
    unset = service.desk.rollback(Name("value", "global", None, "a.b"), 3, actor="bob")
    assert unset.version == 5
    assert service.instance().entries[Name("value", "global", None, "a.b")].value is msgspec.UNSET
    with pytest.raises(InvalidInput, match=r"a\.b has no version 9 on record"):
        service.desk.rollback(Name("value", "global", None, "a.b"), 9, actor="bob")
