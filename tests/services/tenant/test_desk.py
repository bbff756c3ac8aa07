"""A change and its event are one; what was done already is not done again."""

from datetime import timedelta
from typing import Any

import pytest

from trunkline.client.errors import InvalidEvent
from trunkline.errors import InvalidInput
from trunkline.services.kit.ending import End
from trunkline.services.kit.ending.ends import Erasure, end_tenant
from trunkline.services.tenant import store
from trunkline.services.tenant.desk import GRACE, TenantEraser
from trunkline.services.tenant.lifecycle import State, StepRefused
from trunkline.services.tenant.state import state_digest
from trunkline.services.tenant.tables import METADATA
from trunkline.testing.offices import at_once, differences


def digest(office: Any) -> str:
    with office.context.store.read() as tx:
        return state_digest(tx)


def live(office: Any) -> None:
    """A whole life, up to the grace period."""
    office.create(display_name="Acme", admin_email="ada@acme.example")
    office.do("fail", step="create_namespace", message="quota exceeded", retryable=True)
    office.do("activate", actor="provisioner")
    office.do("change_tier", tier="enterprise", actor="u-1")
    office.do("suspend", reason="payment_overdue", actor="billing", note="60 days")
    office.do("reactivate", actor="billing")
    office.do("schedule_deletion", actor="u-1")


def test_of_many_that_sign_the_same_tenant_up_at_once_one_does_and_tells(office: Any) -> None:
    """On PostgreSQL they run side by side, and all see at first that there is no such tenant."""
    outcomes = at_once(lambda _: office.create(admin_email="ada@acme.example"))
    assert sorted(outcome.changed for outcome in outcomes) == [False] * 7 + [True]
    assert office.told() == ["tenant.created.v1"]


def test_every_step_is_an_event_and_a_version(office: Any) -> None:
    live(office)
    assert office.told() == [
        "tenant.created.v1",
        "tenant.provisioning_failed.v1",
        "tenant.activated.v1",
        "tenant.tier_changed.v1",
        "tenant.suspended.v1",
        "tenant.reactivated.v1",
        "tenant.deletion_scheduled.v1",
    ]
    with office.context.store.read() as tx:
        changes = store.history(tx, "acme")
        found = store.get(tx, "acme")
        assert store.admin_email(tx, "acme", office.context.keys) == "ada@acme.example"
    assert [change.event_id for change in changes] == office.ids()
    assert [change.version for change in changes] == list(range(1, 8))
    assert (found.state, found.tier, found.version) == (State.PENDING_DELETION, "enterprise", 7)
    assert found.delete_at == office.clock.now + GRACE


def test_the_same_life_gives_the_same_ids_and_the_same_state(new_office: Any, tmp_path: Any) -> None:
    one, other = new_office(), new_office(url=f"sqlite:///{tmp_path / 'other.db'}")
    live(one)
    other.clock.pass_(timedelta(days=3))
    live(other)
    assert one.ids() == other.ids()
    assert digest(one) == digest(other)


def test_repeating_a_step_changes_nothing_and_tells_nobody(office: Any) -> None:
    for _ in range(2):
        office.create()
    for _ in range(2):
        outcome = office.do("activate", actor="ops")
    assert not outcome.changed
    office.do("change_tier", tier="free", actor="ops")
    assert not office.do("change_tier", tier="free", actor="ops").changed
    office.do("suspend", reason="abuse", actor="ops")
    assert not office.do("suspend", reason="abuse", actor="ops").changed
    assert len(office.told()) == 4


def test_a_step_in_the_wrong_state_is_refused_and_nothing_has_changed(office: Any) -> None:
    office.create()
    before = digest(office)
    for step, arguments in (
        ("suspend", {"reason": "abuse", "actor": "ops"}),
        ("reactivate", {"actor": "ops"}),
        ("change_tier", {"tier": "free", "actor": "ops"}),
        ("delete", {"actor": "ops"}),
    ):
        with pytest.raises(StepRefused, match="it is pending"):
            office.do(step, **arguments)
    assert digest(office) == before
    assert office.told() == ["tenant.created.v1"]


def test_a_change_is_made_only_to_the_version_that_was_expected(office: Any) -> None:
    office.create()
    with pytest.raises(StepRefused, match="at version 1, not 2"):
        office.do("activate", actor="ops", expected=2)
    assert office.do("activate", actor="ops", expected=1).tenant.version == 2


@pytest.mark.parametrize("name", ["system", "", "no tenant", "../x"])
def test_what_cannot_be_a_tenant_is_refused(office: Any, name: str) -> None:
    with pytest.raises(InvalidInput, match="use up to 64"):
        office.create(name)


def test_a_bad_tier_or_address_is_refused_and_nothing_is_added(office: Any) -> None:
    with pytest.raises(InvalidInput, match="there are free, starter"):
        office.create(tier="gold")
    with pytest.raises(InvalidEvent):
        office.create(admin_email="no address")
    with office.context.store.read() as tx:
        assert store.listed(tx) == []
    assert office.told() == []


def test_another_tenant_of_the_same_name_is_refused(office: Any) -> None:
    office.create()
    with pytest.raises(StepRefused, match="with other properties"):
        office.create(region="us")


def test_a_deletion_waits_for_its_grace_period_unless_told_otherwise(office: Any) -> None:
    office.create()
    office.do("activate", actor="ops")
    office.do("schedule_deletion", actor="ops", grace=timedelta(days=2))
    with pytest.raises(StepRefused, match="its grace period lasts until 2026-05-03T00:00:00Z"):
        office.do("delete", actor="ops")
    office.clock.pass_(timedelta(days=2))
    assert office.do("delete", actor="ops").tenant.state is State.DELETED
    assert not office.do("delete", actor="ops").changed
    with pytest.raises(StepRefused, match="its id is not used again"):
        office.create()


def test_a_deletion_can_be_called_off_but_not_for_who_never_was_active(office: Any) -> None:
    office.create()
    office.do("activate", actor="ops")
    office.do("schedule_deletion", actor="ops")
    called_off = office.do("reactivate", actor="ops").tenant
    assert (called_off.state, called_off.delete_at) == (State.ACTIVE, None)
    office.create("globex")
    office.do("schedule_deletion", "globex", actor="ops")
    with pytest.raises(StepRefused, match="it was never active"):
        office.do("reactivate", "globex", actor="ops")


def test_the_deletion_id_is_that_of_the_event(office: Any) -> None:
    office.create()
    office.do("schedule_deletion", actor="ops", grace=timedelta(0))
    deleted = office.do("delete", actor="ops").tenant
    assert deleted.deletion_id == office.ids()[-1]


def test_an_erasure_leaves_the_tenant_and_nobodys_name(office: Any) -> None:
    live(office)
    office.do("delete", actor="u-1", now=True)
    with office.context.store.write() as tx:
        end = End(tenant="acme", deletion_id="d", deleted_at=office.clock.now)
        erasure = Erasure(office.context.store, TenantEraser(), publishes=True)
        assert end_tenant(tx, end, erasure, now=office.clock.now)
    with office.context.store.read() as tx:
        found = store.get(tx, "acme")
        assert store.admin_email(tx, "acme", office.context.keys) is None
        changes = store.history(tx, "acme")
    assert (found.state, found.display_name) == (State.DELETED, None)
    assert {(change.actor_id, change.note) for change in changes} == {(None, None)}
    assert office.told()[-1] == "tenant.deleted.v1", "what tells the others still goes out"


def test_the_tables_are_those_that_the_migrations_create(office: Any) -> None:
    with office.context.store.read() as tx:
        assert differences(tx, METADATA) == []
