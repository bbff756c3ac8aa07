"""The policies follow from the topic, whole and in order, and it is known how good they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.policy import (
    TOPIC,
    ClassificationChanged,
    PolicyHeartbeat,
    PolicyPublished,
    PolicyRevoked,
)
from trunkline.catalogue.names import SYSTEM_TENANT, TenantId
from trunkline.client.broadcast.course import Sighting
from trunkline.codec import Record, encode, new_envelope
from trunkline.services.policies.bundle import activation, new_bundle, snapshot_events
from trunkline.services.policies.policy import Policy
from trunkline.services.query.cedar import Principal
from trunkline.services.query.errors import PoliciesUnknown
from trunkline.services.query.following import KnownPolicies
from trunkline.services.query.keeping import Damaged, keep, kept
from trunkline.services.query.relations import Relation
from trunkline.services.query.replica import PolicyReplica, tenant_policies
from trunkline.services.query.rules import TableRules
from trunkline.testing.query import policy

WALL = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE = policy("row_filter", "urn:table:hr.salary", "region = 'EMEA'", policy_id="p-1")
TWO = policy("access", "*", "forbid (principal, action, resource);", policy_id="p-2")


class Topic:
    """Records of the policy topic in the order in which they are written, and a replica that reads them."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.replica = PolicyReplica(stale_seconds=30)
        self.read_to = 0
        self.now = 1_000.0

    def write(self, event: Event, tenant: str = "acme") -> None:
        encoded = encode(
            new_envelope(event, tenant=TenantId(tenant), source="/governance-service", time=WALL)
        )
        place = len(self.records)
        self.records.append(Record(TOPIC, 0, place, 1, encoded.key, encoded.value, tuple(encoded.headers)))

    def activate(self, *policies: Policy, revision: int, previous: int, tenant: str = "acme") -> None:
        for one in policies:
            self.write(published(one), tenant)
        self.write(activation(new_bundle(tenant, revision, policies), previous_revision=previous), tenant)

    def beat(self, *, ago: float = 0.0, bundles: int = 1) -> None:
        at = WALL + timedelta(seconds=self.now - 1_000 - ago)
        event = PolicyHeartbeat(sequence=1, sent_at=at, every_ms=5_000, bundles=bundles, digest="0" * 64)
        self.write(event, SYSTEM_TENANT)

    def see(self, topic_id: str = "t-1") -> None:
        self.replica.seen(Sighting(topic_id=topic_id, bounds={0: (0, len(self.records))}, at=self.now))

    def read(self, number: int | None = None) -> None:
        end = len(self.records) if number is None else min(self.read_to + number, len(self.records))
        wall = WALL + timedelta(seconds=self.now - 1_000)
        self.replica.read(self.records[self.read_to : end], {}, now=self.now, wall=wall)
        self.read_to = end


def published(one: Policy) -> PolicyPublished:
    return PolicyPublished(
        policy_id=one.policy_id,
        version=one.version,
        kind=one.kind,
        mode=one.mode,
        scope=one.scope,
        body=one.body,
        actor_id="u-40",
    )


def test_nothing_is_known_before_everything_was_read() -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.beat()
    topic.see()
    topic.read(1)
    known = [topic.replica.known]
    topic.read()
    topic.see()
    assert [*known, topic.replica.known] == [False, True]
    assert topic.replica.view["acme"].bundle.policies == (ONE,)
    assert topic.replica.fresh_until == topic.now + 30


def test_a_change_decides_as_soon_as_it_is_read() -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.see()
    topic.read()
    topic.activate(ONE, TWO, revision=2, previous=1)
    topic.read()
    assert topic.replica.view["acme"].bundle.revision == 2
    topic.write(PolicyRevoked(policy_id="p-2", version=1, actor_id="u"))
    topic.activate(ONE, revision=3, previous=2)
    topic.read()
    assert topic.replica.view["acme"].bundle.policies == (ONE,)


def test_an_older_revision_and_a_repetition_are_ignored() -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.activate(TWO, revision=2, previous=1)
    topic.activate(ONE, revision=1, previous=0)
    topic.activate(TWO, revision=2, previous=1)
    topic.see()
    topic.read()
    assert topic.replica.view["acme"].bundle.revision == 2
    assert topic.replica.view["acme"].incomplete is None


def test_a_gap_keeps_the_old_revision_and_is_bridged_by_a_snapshot() -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.activate(TWO, revision=3, previous=2)
    topic.see()
    topic.read()
    known = topic.replica.view["acme"]
    assert known.bundle.revision == 1
    assert known.incomplete is not None
    assert known.incomplete_at == topic.now
    for part in snapshot_events(new_bundle("acme", 3, [TWO])):
        topic.write(part)
    topic.read()
    assert topic.replica.view["acme"].bundle.policies == (TWO,)
    assert topic.replica.view["acme"].incomplete is None


def test_it_is_fresh_as_long_as_all_was_read_and_governance_was_heard_of() -> None:
    topic = Topic()
    topic.beat(ago=12)
    topic.see()
    topic.read()
    assert topic.replica.fresh_until == pytest.approx(topic.now + 18)
    topic.now += 25
    topic.see()
    assert topic.replica.fresh_until == pytest.approx(1_018)
    topic.beat()
    topic.see()
    assert topic.replica.fresh_until == pytest.approx(1_018)
    topic.read()
    assert topic.replica.fresh_until == pytest.approx(topic.now + 30)


def test_a_clock_that_runs_ahead_makes_nothing_fresher_than_now() -> None:
    topic = Topic()
    topic.beat(ago=-3_600)
    topic.see()
    topic.read()
    assert topic.replica.fresh_until == pytest.approx(topic.now + 30)


def test_a_heartbeat_that_a_tenant_forged_counts_for_nothing() -> None:
    topic = Topic()
    topic.write(PolicyHeartbeat(sequence=1, sent_at=WALL, every_ms=1, bundles=0, digest="0" * 64), "acme")
    topic.see()
    topic.read()
    assert topic.replica.fresh_until == float("-inf")


def test_classifications_are_the_newest() -> None:
    topic = Topic()
    for tag in ("internal", "personal"):
        topic.write(ClassificationChanged(asset="urn:table:hr.salary", classification=tag, actor_id="u"))
    topic.see()
    topic.read()
    assert topic.replica.view["acme"].tags == {"urn:table:hr.salary": "personal"}
    assert topic.replica.view["acme"].tags_digest


def test_a_classification_is_of_its_column_however_that_is_spelled() -> None:
    topic = Topic()
    for asset in ("urn:column:HR.Person.Home Phone", "urn:column:hr.person.e%2Email"):
        topic.write(ClassificationChanged(asset=asset, classification="personal", actor_id="u"))
    topic.see()
    topic.read()
    person = Relation(schema="hr", name="Person", columns=("id", "Home Phone", "E.Mail"))
    mask = policy("mask", "urn:tag:personal", "'x'", policy_id="p")
    made = TableRules(person, [mask], topic.replica.view["acme"].tags, open_by_default=True)
    masks = made.decide(Principal(user="u-17"), origin="user").masks
    assert masks == {"Home Phone": ("p",), "E.Mail": ("p",)}


def test_a_poison_record_is_counted_and_stops_nobody() -> None:
    topic = Topic()
    topic.records.append(Record(TOPIC, 0, 0, 1, b"acme", b"{}", ()))
    topic.activate(ONE, revision=1, previous=0)
    topic.see()
    topic.read()
    assert topic.replica.rejected == 1
    assert "@0" in topic.replica.last_rejected
    assert topic.replica.view["acme"].bundle.revision == 1


def test_a_topic_that_was_emptied_takes_nothing_away() -> None:
    topic = Topic()
    topic.activate(TWO, revision=1, previous=0)
    topic.see()
    topic.read()
    topic.records, topic.read_to = [], 0
    topic.see("t-2")
    assert topic.replica.view["acme"].bundle.policies == (TWO,)
    assert not topic.replica.adopted


@given(st.lists(st.integers(1, 4), max_size=8))
def test_any_cut_into_batches_gives_the_same(cuts: list[int]) -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.beat()
    topic.activate(ONE, TWO, revision=2, previous=1)
    topic.activate(TWO, revision=1, previous=0, tenant="other")
    topic.beat()
    topic.see()
    for number in cuts:
        topic.read(number)
    topic.read()
    topic.see()
    assert {name: one.bundle.revision for name, one in topic.replica.view.items()} == {"acme": 2, "other": 1}


def test_of_a_tenant_without_policies_nothing_is_decided_while_something_may_have_been_missed() -> None:
    with pytest.raises(PoliciesUnknown):
        KnownPolicies({}, stale="the cluster is away").standing("acme")
    assert KnownPolicies({}).standing("acme").policies.bundle.revision == 0


def test_what_was_kept_is_what_was_known_and_a_damaged_file_is_refused(tmp_path: Path) -> None:
    topic = Topic()
    topic.activate(ONE, TWO, revision=2, previous=0)
    topic.write(ClassificationChanged(asset="urn:table:hr.salary", classification="personal", actor_id="u"))
    topic.see()
    topic.read()
    path = tmp_path / "query" / "policies.json"
    assert kept(path) is None
    keep(path, topic.replica.view)
    assert kept(path) == dict(topic.replica.view)
    damaged = path.read_bytes().replace(b"EMEA", b"APAC")
    path.write_bytes(damaged)
    with pytest.raises(Damaged, match="digest"):
        kept(path)
    path.write_bytes(damaged[:100])
    with pytest.raises(Damaged):
        kept(path)


def test_a_topic_made_anew_takes_no_tenants_policies_away() -> None:
    """Governance repeats one tenant's bundle after the other; until then the others' are as before."""
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.activate(TWO, revision=4, previous=0, tenant="other")
    topic.beat(bundles=2)
    topic.see()
    topic.read()
    topic.see()
    topic.records, topic.read_to = [], 0
    topic.activate(ONE, revision=1, previous=0)
    topic.beat(bundles=2)
    topic.see("t-2")
    topic.read()
    topic.see("t-2")
    other = topic.replica.view["other"]
    assert topic.replica.adopted
    assert (other.bundle.revision, other.bundle.policies) == (4, (TWO,))
    assert other.incomplete == "nothing of its policies is in the topic"
    assert other.incomplete_at == topic.now
    for part in snapshot_events(new_bundle("other", 4, [TWO])):
        topic.write(part, "other")
    topic.read()
    assert topic.replica.view["other"].incomplete is None


def test_policies_of_before_decide_where_the_topic_begins_behind_a_gap() -> None:
    topic = Topic()
    topic.replica.remember({"acme": tenant_policies(new_bundle("acme", 39, [TWO]), {})})
    topic.activate(ONE, revision=41, previous=40)
    topic.see()
    topic.read()
    known = topic.replica.view["acme"]
    assert (known.bundle.revision, known.incomplete) == (39, "revision 41 follows 40, and 0 is active")


def test_of_a_tenant_whose_first_revision_is_not_whole_nothing_is_decided() -> None:
    topic = Topic()
    topic.activate(ONE, revision=40, previous=39)
    topic.beat()
    topic.see()
    topic.read()
    with pytest.raises(PoliciesUnknown, match="40 follows 39"):
        KnownPolicies(topic.replica.view).standing("acme")


def test_a_heartbeat_tells_of_bundles_that_are_not_in_the_topic() -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.beat(bundles=2)
    topic.see()
    topic.read()
    assert topic.replica.unread == 1
    topic.activate(ONE, revision=1, previous=0, tenant="other")
    topic.read()
    assert topic.replica.unread == 0


def test_nothing_is_known_of_a_tenant_that_has_ended() -> None:
    topic = Topic()
    topic.activate(ONE, revision=1, previous=0)
    topic.activate(TWO, revision=1, previous=0, tenant="other")
    topic.see()
    topic.read()
    topic.replica.forget(["acme"])
    assert topic.replica.view.keys() == {"other"}
    topic.activate(ONE, TWO, revision=2, previous=1)
    topic.read()
    assert topic.replica.view.keys() == {"other"}
