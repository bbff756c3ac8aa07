"""The end of a tenant: nothing of its configuration is left, here and on every instance."""

from typing import Any

import pytest

from trunkline.client.broadcast.entries import FlagRule
from trunkline.client.store import migrate
from trunkline.services.config import queries
from trunkline.services.config.erasing import ConfigEraser
from trunkline.services.kit.ending import End, TenantEnded, erased_among
from trunkline.services.kit.ending.ends import Erasure, end_tenant


def erase(service: Any, tenant: str) -> dict[str, int]:
    eraser = ConfigEraser(service.rules.outbox, wall=service.clock)
    with service.store.write() as tx:
        return dict(eraser.erase(tx, tenant))


def end(service: Any, tenant: str) -> None:
    """All that happens in the service's store when a tenant is deleted."""
    eraser = ConfigEraser(service.rules.outbox, wall=service.clock)
    migrate(service.store)
    said = End(tenant=tenant, deletion_id="d-1", deleted_at=service.clock())
    with service.store.write() as tx:
        assert end_tenant(tx, said, Erasure(service.store, eraser, publishes=True), now=service.clock())
        assert erased_among(tx, [tenant])


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_the_end_of_a_tenant_is_published_and_what_still_waited_is_not(service: Any) -> None:
    service.set("a.b", "mine", "tenant", "acme")
    instance = service.instance()
    service.set("a.b", "mine, too", "tenant", "acme")
    end(service, "acme")
    (unset,) = service.published()
    assert unset.type == "config.value_unset.v1"
    instance.apply(unset)
    assert len(instance.view()) == 0


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_nothing_is_kept_for_later_of_a_tenant_that_has_ended(service: Any) -> None:
    from datetime import timedelta

    end(service, "acme")
    for due in (None, service.clock() + timedelta(hours=1)):
        with pytest.raises(TenantEnded):
            service.set("a.d", "Ada Lovelace", "tenant", "acme", due=due)
    with service.store.read() as tx:
        assert queries.plans(tx, settled=True, limit=10) == []


@pytest.mark.parametrize("service", ["sqlite", "postgres"], indirect=True)
def test_values_and_flags_of_the_tenant_vanish_from_every_instance(service: Any, name: Any) -> None:
    from datetime import timedelta

    service.set("a.b", "everybody's")
    service.set("a.b", "mine", "tenant", "acme")
    service.set("a.c", "was mine", "tenant", "acme")
    service.unset("a.c", "tenant", "acme")
    service.flag("f", FlagRule(enabled=True), "acme")
    service.set("a.d", "soon mine", "tenant", "acme", due=service.clock() + timedelta(hours=1))
    service.set("a.b", "theirs", "tenant", "globex")
    assert erase(service, "acme") == {
        "config_entry": 2,
        "config_change": 4,
        "config_plan": 1,
        "config_part": 0,
    }
    left = {name("a.b"): "everybody's", name("a.b", "tenant", "globex"): "theirs"}
    assert service.entries() == left
    view = service.instance().view()
    assert len(view) == 2
    assert view.value("a.b", tenant="acme").value == "everybody's"
    with service.store.read() as tx:
        assert queries.history(tx, queries.Wanted(level="tenant", scope="acme"), limit=10) == []
        assert queries.plans(tx, settled=True, limit=10) == []


def test_an_older_event_of_the_tenant_brings_nothing_back(service: Any, name: Any) -> None:
    service.set("a.b", "mine", "tenant", "acme")
    old = service.published()
    erase(service, "acme")
    service.hear(*old)
    assert service.entries() == {}
    state = service.instance()
    state.apply(old[0])
    assert len(state.view()) == 0


def test_erasing_again_publishes_nothing_more(service: Any) -> None:
    service.set("a.b", "mine", "tenant", "acme")
    erase(service, "acme")
    before = service.published()
    assert set(erase(service, "acme").values()) == {0}
    assert service.published() == before
