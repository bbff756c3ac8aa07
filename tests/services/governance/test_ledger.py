"""Revisions grow one by one, whoever changes what at the same time."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from trunkline.catalogue.events.policy import PolicyBundleActivated
from trunkline.services.governance import ledger, queries
from trunkline.services.governance.ledger import Cause, Ledger
from trunkline.services.governance.orders import checked_draft
from trunkline.services.governance.tables import BUNDLE
from trunkline.services.policies.bundle import Bundle
from trunkline.testing.governance_desk import START, TENANT, Governance, draft

Governed = Callable[..., Governance]
CAUSE = Cause(what="a test", actor_id="u-1", time=START)


def bundle(governance: Governance) -> Bundle:
    found = governance.read(lambda tx: queries.bundle(tx, TENANT))
    assert isinstance(found, Bundle)
    return found


def test_a_tenant_without_policies_has_an_empty_bundle_of_revision_0(governance: Governance) -> None:
    assert (bundle(governance).revision, bundle(governance).policies) == (0, ())


def test_what_changes_nothing_takes_no_revision(governance: Governance) -> None:
    assert governance.publish(draft()).changed
    before = governance.published()
    again = governance.publish(draft())
    assert not again.changed
    assert again.revision == 1
    assert governance.published() == before


def test_each_activation_names_the_one_before(governance: Governance) -> None:
    for body in ("a = 1", "a = 2", "a = 3"):
        governance.publish(draft(body=body))
    events = governance.published("policy.bundle_activated.v1")
    assert all(isinstance(event, PolicyBundleActivated) for event in events)
    assert [(one.previous_revision, one.revision) for one in events] == [(0, 1), (1, 2), (2, 3)]


def test_ids_of_events_follow_from_what_they_say(governed: Governed, tmp_path: Path) -> None:
    stores = [
        governed(),
        governed(f"sqlite:///{tmp_path / 'two.db'}"),
        governed(f"sqlite:///{tmp_path / '3.db'}"),
    ]
    for governance, body in zip(stores, ("a = 1", "a = 1", "a = 2"), strict=True):
        governance.publish(draft(body=body))
    first, second, other = ([id_ for _, id_, _, _ in one.envelopes()] for one in stores)
    assert first == second
    assert not set(first) & set(other)


def test_old_bundles_are_forgotten(governance: Governance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "REVISIONS_KEPT", 3)
    for number in range(6):
        governance.publish(draft(body=f"a = {number}"))
    kept = governance.read(lambda tx: queries.history(tx, TENANT, limit=99))
    assert [one.revision for one in kept] == [6, 5, 4]


def test_changes_from_several_threads_follow_one_another(governance: Governance) -> None:
    def work(name: str) -> None:
        for number in range(5):
            governance.publish(draft(f"p-{name}", f"a = {number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = governance.published("policy.bundle_activated.v1")
    assert [one.revision for one in events] == list(range(1, 21))
    assert [one.previous_revision for one in events] == list(range(20))
    assert bundle(governance).members == {f"p-{name}": 5 for name in "abcd"}
    rows = governance.read(lambda tx: tx.execute(select(func.count()).select_from(BUNDLE)).scalar_one())
    assert rows == 20


def test_a_rolled_back_change_leaves_no_trace(governance: Governance) -> None:
    governance.publish(draft())
    before = governance.digest(), governance.published()
    with pytest.raises(IntegrityError), governance.store.write() as tx:  # noqa: PT012 - the last one fails
        changing = Ledger(tx, governance.outbox, [TENANT])
        changing.change(TENANT, CAUSE, drop=["p-eu"])
        changing.add(TENANT, checked_draft(draft()), CAUSE)
    assert (governance.digest(), governance.published()) == before
