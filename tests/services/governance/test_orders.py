"""What people order of policies: all of it in one revision or none, answered and repeatable."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.events.policy import PolicyRevoked
from trunkline.errors import InvalidInput
from trunkline.services.governance import queries
from trunkline.services.governance.orders import Activated, read_bundle, restore, roll_back
from trunkline.services.policies.bundle import Bundle, Bundles
from trunkline.testing.governance_desk import TENANT, Governance, draft, failed, passed

Governed = Callable[..., Governance]

ORDERED: list[Callable[[Governance], object]] = [
    lambda one: one.publish(draft("p-eu"), draft("p-us", "region = 'US'")),
    lambda one: one.publish(draft("p-eu", "region = 'FR'")),
    lambda one: one.revoke("p-us"),
]
REPORTED: list[Callable[[Governance], object]] = [
    lambda one: one.report(failed("a"), failed("b", "x.y")),
    lambda one: one.report(passed("a"), passed("a"), failed("c", "urn:model:m")),
]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """SQLite alone: what differs between databases is below this, and tested there."""
    return f"sqlite:///{tmp_path / 'governance.db'}"


def bundle(governance: Governance) -> Bundle:
    found = governance.read(lambda tx: queries.bundle(tx, TENANT))
    assert isinstance(found, Bundle)
    return found


def rolled_back(governance: Governance, revision: int) -> Activated:
    with governance.store.write() as tx:
        return roll_back(tx, governance.outbox, revision, governance.order())


def test_policies_of_one_file_are_one_revision(governance: Governance) -> None:
    done = governance.publish(draft("a"), draft("b"))
    assert (done.revision, done.published, done.changed) == (1, {"a": 1, "b": 1}, True)
    assert bundle(governance).members == {"a": 1, "b": 1}


def test_one_bad_policy_keeps_all_out(governance: Governance) -> None:
    with pytest.raises(InvalidInput, match="policy b: a subquery"):
        governance.publish(draft("a"), draft("b", "x IN (SELECT 1)"))
    assert governance.published() == []
    assert bundle(governance).revision == 0


def test_a_policy_cannot_be_there_twice(governance: Governance) -> None:
    with pytest.raises(InvalidInput, match="twice"):
        governance.publish(draft("a"), draft("a", "x = 1"))


def test_only_what_differs_gets_a_new_version(governance: Governance) -> None:
    governance.publish(draft("a"), draft("b"))
    done = governance.publish(draft("a"), draft("b", "x = 2"))
    assert done.published == {"b": 2}
    assert bundle(governance).members == {"a": 1, "b": 2}


def test_a_revoked_policy_decides_no_more_and_its_number_is_not_used_again(governance: Governance) -> None:
    governance.publish(draft("a"), draft("b"))
    done = governance.revoke("a")
    assert (done.revision, bundle(governance).members) == (2, {"b": 1})
    (event,) = governance.published("policy.revoked.v1")
    assert event == PolicyRevoked(policy_id="a", version=1, actor_id="u-1")
    assert governance.publish(draft("a")).published == {"a": 2}


def test_revoking_twice_is_once(governance: Governance) -> None:
    governance.publish(draft("a"))
    governance.revoke("a")
    before = governance.published()
    assert not governance.revoke("a").changed
    assert governance.published() == before


def test_what_is_not_there_cannot_be_revoked(governance: Governance) -> None:
    governance.publish(draft("p-emea"))
    with pytest.raises(InvalidInput, match="did you mean p-emea"):
        governance.revoke("p-emae")


def test_a_quarantine_cannot_be_revoked_as_a_policy(governance: Governance) -> None:
    governance.report(failed())
    with pytest.raises(InvalidInput, match=r"no policy quarantine:table:main\.orders"):
        governance.revoke("quarantine:table:main.orders")


def test_a_rollback_is_a_new_revision_with_new_versions(governance: Governance) -> None:
    governance.publish(draft("a", "x = 1"), draft("b"))
    governance.publish(draft("a", "x = 2"), draft("c"))
    governance.revoke("b")
    done = rolled_back(governance, 1)
    assert (done.revision, done.published) == (4, {"a": 3, "b": 2})
    now = bundle(governance)
    assert {one.policy_id: one.body for one in now.policies} == {"a": "x = 1", "b": "region = 'EU'"}


def test_a_rollback_leaves_quarantines_alone(governance: Governance) -> None:
    governance.publish(draft("a", "x = 1"))
    governance.report(failed())
    governance.publish(draft("a", "x = 2"))
    rolled_back(governance, 1)
    assert bundle(governance).members == {"a": 3, "quarantine:table:main.orders": 1}


def test_there_is_no_way_back_to_what_never_was(governance: Governance) -> None:
    with pytest.raises(InvalidInput, match="no revision 7"):
        rolled_back(governance, 7)


def test_a_bundle_is_bounded(governance: Governance) -> None:
    large = "x = '" + "y" * 15_000 + "'"
    for part in range(2):
        governance.publish(*(draft(f"p-{part}-{number}", large) for number in range(130)))
    with pytest.raises(InvalidInput, match="would take"):
        governance.publish(*(draft(f"q-{number}", large) for number in range(130)))
    assert bundle(governance).revision == 2


def test_a_tenant_must_have_a_possible_name(governance: Governance) -> None:
    with pytest.raises(InvalidInput, match="tenant 'no/such'"):
        governance.publish(draft(), tenant="no/such")


def test_after_a_loss_enforcers_follow_the_restored_bundle(
    governance: Governance, governed: Governed, tmp_path: Path
) -> None:
    governance.publish(draft("a"))
    governance.report(failed())
    governance.publish(draft("a", "x = 2"), draft("b"))
    kept = bundle(governance)
    enforcer = Bundles(TENANT, kept)
    anew = governed(f"sqlite:///{tmp_path / 'anew.db'}")
    anew.report(failed())
    given = read_bundle(msgspec.to_builtins(kept))
    with anew.store.write() as tx:
        done = restore(tx, anew.outbox, given, anew.order())
    assert done.revision == kept.revision + 1
    for event in anew.published():
        enforcer.apply(event)
    assert enforcer.incomplete is None
    assert enforcer.active == bundle(anew)
    assert enforcer.active.members == {"a": 3, "b": 2, "quarantine:table:main.orders": 1}


def test_a_bundle_that_was_changed_is_not_restored(governance: Governance) -> None:
    governance.publish(draft("a"))
    kept = bundle(governance)
    bad = msgspec.structs.replace(kept, digest="0" * 64)
    with pytest.raises(InvalidInput, match="was changed"), governance.store.write() as tx:
        restore(tx, governance.outbox, bad, governance.order())
    with pytest.raises(InvalidInput, match="of acme, not of globex"), governance.store.write() as tx:
        restore(tx, governance.outbox, kept, governance.order("globex"))
    with pytest.raises(InvalidInput, match="not a bundle"):
        read_bundle({"tenant": "acme"})


def test_orders_and_checks_lead_to_the_same_revision_and_digest_in_any_order(
    governed: Governed, tmp_path: Path
) -> None:
    """The two kinds of cause come by different ways; each keeps its own order, and no other is promised."""
    ends = set()
    for number, ways in enumerate(sorted(set(permutations("ooocc")))):
        governance = governed(f"sqlite:///{tmp_path / str(number)}.db")
        orders, checks = iter(ORDERED), iter(REPORTED)
        for way in ways:
            next(orders if way == "o" else checks)(governance)
        now = bundle(governance)
        ends.add((now.revision, now.digest, tuple(now.members.items())))
    assert len(ends) == 1
    ((revision, _, members),) = ends
    assert (revision, dict(members)) == (6, {"p-eu": 2, "quarantine:table:x.y": 1})
