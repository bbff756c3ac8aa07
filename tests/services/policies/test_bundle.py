"""A tenant's active bundle follows from its events, and from nothing that is incomplete."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.policy import (
    PolicyBundleActivated,
    PolicyPublished,
    PolicyRevoked,
    PolicySnapshotPublished,
)
from trunkline.services.policies.bundle import (
    KNOWN_MAX,
    PART_BYTES_MAX,
    Bundle,
    Bundles,
    activation,
    bundle_digest,
    new_bundle,
    snapshot_events,
)
from trunkline.services.policies.policy import Policy

TENANT = "acme"


def policy(policy_id: str = "p", version: int = 1, body: str = "region = 'EU'") -> Policy:
    return Policy(
        policy_id=policy_id, version=version, kind="row_filter", mode="enforce", scope="*", body=body
    )


def published(one: Policy) -> PolicyPublished:
    return PolicyPublished(actor_id="u-1", **msgspec.structs.asdict(one))


def bundle(revision: int, *policies: Policy) -> Bundle:
    return new_bundle(TENANT, revision, policies)


def follow(*events: Event, active: Bundle | None = None) -> Bundles:
    bundles = Bundles(TENANT, active)
    for event in events:
        bundles.apply(event)
    return bundles


FIRST = bundle(1, policy("a"), policy("b"))
START = (published(policy("a")), published(policy("b")), activation(FIRST, previous_revision=0))


def test_before_the_first_activation_an_empty_bundle_decides() -> None:
    bundles = follow(published(policy()))
    assert bundles.active == bundle(0)
    assert bundles.incomplete is None


def test_an_activation_makes_exactly_its_members_decide() -> None:
    bundles = follow(published(policy("c")), *START)
    assert bundles.active == FIRST
    assert bundles.active.members == {"a": 1, "b": 1}
    assert bundles.incomplete is None


def test_the_digest_does_not_depend_on_the_order_of_policies() -> None:
    assert bundle_digest([policy("a"), policy("b")]) == bundle_digest([policy("b"), policy("a")])
    assert bundle_digest([policy("a", body="x = 1")]) != bundle_digest([policy("a", body="x = 2")])


def test_an_older_or_equal_revision_is_ignored() -> None:
    second = bundle(2, policy("a"))
    bundles = follow(*START, activation(second, previous_revision=1))
    for event in START:
        assert not bundles.apply(event)
    assert bundles.active == second
    assert bundles.incomplete is None


def test_a_gap_leaves_the_old_one_active() -> None:
    third = bundle(3, policy("a"))
    bundles = follow(*START, activation(third, previous_revision=2))
    assert bundles.active == FIRST
    assert bundles.newest_revision == 3
    assert bundles.incomplete == "revision 3 follows 2, and 1 is active"


def test_an_unknown_member_leaves_the_old_one_active() -> None:
    bundles = follow(*START, activation(bundle(2, policy("a", 2)), previous_revision=1))
    assert bundles.active == FIRST
    assert bundles.incomplete == "revision 2: version 2 of a is not known"


def test_members_with_another_digest_leave_the_old_one_active() -> None:
    told = activation(bundle(2, policy("a", body="other = 1")), previous_revision=1)
    bundles = follow(*START, told)
    assert bundles.active == FIRST
    assert bundles.incomplete == "revision 2: its members do not have its digest"


def test_one_revision_with_two_digests_is_shown() -> None:
    bundles = follow(*START, activation(bundle(1, policy("x")), previous_revision=0))
    assert bundles.active == FIRST
    assert bundles.incomplete == "revision 1 was activated with two digests"
    for event in snapshot_events(FIRST):
        bundles.apply(event)
    assert bundles.incomplete is None


def test_a_snapshot_repairs_what_was_missed() -> None:
    fifth = bundle(5, policy("z", 4))
    bundles = follow(*START, activation(fifth, previous_revision=4), *snapshot_events(fifth))
    assert bundles.active == fifth
    assert bundles.incomplete is None
    sixth = bundle(6, policy("z", 4), policy("b"))
    assert bundles.apply(activation(sixth, previous_revision=5))


def test_a_snapshot_of_less_than_was_heard_of_is_taken_and_not_enough() -> None:
    fourth, fifth = bundle(4, policy("z")), bundle(5, policy("y"))
    bundles = follow(*START, activation(fifth, previous_revision=4), *snapshot_events(fourth))
    assert bundles.active == fourth
    assert bundles.incomplete is not None


def test_an_old_snapshot_is_ignored() -> None:
    bundles = follow(*START, *snapshot_events(bundle(0)))
    assert bundles.active == FIRST


def large(revision: int) -> Bundle:
    body = "x = '" + "y" * 15_000 + "'"
    return bundle(revision, *(policy(f"p{number:03}", body=body) for number in range(100)))


def test_a_large_bundle_is_repeated_in_parts_that_fit_a_message() -> None:
    parts = snapshot_events(large(2))
    assert len(parts) > 1
    assert all(len(msgspec.json.encode(part)) < 2 * PART_BYTES_MAX for part in parts)
    assert follow(*START, *parts).active == large(2)


def test_parts_that_do_not_come_in_a_row_are_nothing() -> None:
    parts = snapshot_events(large(2))
    assert follow(*START, *parts[1:]).active == FIRST
    assert follow(*START, parts[0], *snapshot_events(large(3))).active == large(3)
    assert follow(*START, parts[0], parts[2], parts[1]).active == FIRST


def test_parts_that_come_twice_are_as_if_they_came_once() -> None:
    parts = snapshot_events(large(2))
    assert follow(*START, parts[0], *parts).active == large(2)
    assert follow(*START, *(part for part in parts for _ in range(2))).active == large(2)


def test_a_damaged_snapshot_leaves_the_old_one_active() -> None:
    (part,) = snapshot_events(bundle(2, policy("a")))
    for bad in (
        msgspec.structs.replace(part, digest="0" * 64),
        msgspec.structs.replace(part, policies=({"policy_id": "a"},)),
    ):
        bundles = follow(*START, bad)
        assert bundles.active == FIRST
        assert bundles.incomplete == "the snapshot of revision 2 is damaged"


def test_a_revoked_version_cannot_be_activated_again_without_being_told_anew() -> None:
    revoked = PolicyRevoked(policy_id="b", version=1, actor_id="u-1")
    without = activation(bundle(2, policy("a")), previous_revision=1)
    bundles = follow(*START, without, revoked, activation(bundle(3, policy("b")), previous_revision=2))
    assert bundles.active.revision == 2
    assert bundles.incomplete == "revision 3: version 1 of b is not known"


def test_a_revoked_version_decides_until_a_bundle_without_it_is_active() -> None:
    revoked = PolicyRevoked(policy_id="b", version=1, actor_id="u-1")
    bundles = follow(*START, revoked)
    assert bundles.active == FIRST
    assert bundles.apply(activation(bundle(2, policy("a"), policy("b")), previous_revision=1))


def test_a_follower_that_begins_with_a_bundle_goes_on_from_it() -> None:
    second = bundle(2, policy("a"))
    bundles = follow(*START, activation(second, previous_revision=1), active=FIRST)
    assert bundles.active == second


def test_versions_that_nobody_activates_are_forgotten_at_last() -> None:
    many = (published(policy("n", version)) for version in range(1, KNOWN_MAX + 50))
    bundles = follow(*START, *many, activation(bundle(2, policy("n", 1)), previous_revision=1))
    assert bundles.incomplete == "revision 2: version 1 of n is not known"
    assert bundles.apply(activation(bundle(2, policy("a")), previous_revision=1))


def test_a_bundle_from_elsewhere_replaces_one_that_is_not_newer() -> None:
    bundles = follow(*START)
    other = bundle(1, policy("q"))
    assert not bundles.replace(bundle(0))
    assert bundles.replace(other)
    assert bundles.active == other


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Bundle, list[Event]]]:
    """Bundles one after the other, each with the events that lead to it."""
    active: dict[str, Policy] = {}
    versions: dict[str, int] = {}
    found: list[tuple[Bundle, list[Event]]] = []
    for revision in range(1, draw(st.integers(1, 8)) + 1):
        events: list[Event] = []
        policy_id = draw(st.sampled_from("abc"))
        if policy_id in active and draw(st.booleans()):
            gone = active.pop(policy_id)
            events.append(PolicyRevoked(policy_id=policy_id, version=gone.version, actor_id="u"))
        else:
            versions[policy_id] = versions.get(policy_id, 0) + 1
            active[policy_id] = policy(policy_id, versions[policy_id], body=f"x = {revision}")
            events.append(published(active[policy_id]))
        now = bundle(revision, *active.values())
        events.append(activation(now, previous_revision=revision - 1))
        if draw(st.integers(0, 3)) == 0:
            events += snapshot_events(now)
        found.append((now, events))
    return found


@given(histories=histories(), data=st.data())
def test_whatever_is_missed_or_repeated_only_true_bundles_are_active_and_a_snapshot_repairs(
    histories: list[tuple[Bundle, list[Event]]], data: st.DataObject
) -> None:
    truth = {(now.revision, now.digest) for now, _ in histories} | {(0, bundle(0).digest)}
    bundles, last = Bundles(TENANT), 0
    for _, events in histories:
        for event in events:
            fate = data.draw(st.sampled_from(("heard", "missed", "twice")))
            for _ in range({"heard": 1, "missed": 0, "twice": 2}[fate]):
                bundles.apply(event)
            assert (bundles.active.revision, bundles.active.digest) in truth
            assert bundles.active.revision >= last
            last = bundles.active.revision
    final = histories[-1][0]
    if isinstance(histories[-1][1][-1], PolicyBundleActivated) and bundles.newest_revision == final.revision:
        assert (bundles.active == final) == (bundles.incomplete is None)
    for event in snapshot_events(final):
        bundles.apply(event)
    assert bundles.active == final
    assert bundles.incomplete is None


@pytest.mark.parametrize("policies", [(), (policy("a"),)])
def test_a_snapshot_of_few_policies_is_one_event(policies: tuple[Policy, ...]) -> None:
    (event,) = snapshot_events(bundle(7, *policies))
    assert isinstance(event, PolicySnapshotPublished)
    assert len(event.policies) == len(policies)
