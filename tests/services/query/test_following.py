"""An instance beside a real broker: it decides by what governance has published, also after it was away."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.events.policy import PolicyHeartbeat, PolicyPublished
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.services.policies.bundle import activation, new_bundle
from trunkline.services.policies.policy import Policy
from trunkline.services.query.errors import PoliciesUnknown
from trunkline.services.query.following import PolicyFollower
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.query import policy

FORBID = policy("access", "*", "forbid (principal, action, resource);", policy_id="p-1")


@contextmanager
def following(
    address: str, kept: Path, *, stale_seconds: float = 30.0, ended: Collection[str] = ()
) -> Iterator[PolicyFollower]:
    follower = PolicyFollower(
        ConnectionOptions(bootstrap_servers=address),
        last_known_good=kept,
        ended=lambda: ended,
        stale_seconds=stale_seconds,
        check_seconds=0.2,
    )
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


@contextmanager
def governance(address: str) -> Iterator[Publisher]:
    connection, catalogue = ConnectionOptions(bootstrap_servers=address), load_catalogue(None)
    ensure_topics(connection, catalogue, "development")
    with Publisher(service="governance-service", connection=connection, catalogue=catalogue) as publisher:
        yield publisher


def activate(publisher: Publisher, one: Policy, *, revision: int) -> None:
    published = PolicyPublished(
        policy_id=one.policy_id,
        version=revision,
        kind=one.kind,
        mode=one.mode,
        scope=one.scope,
        body=one.body,
        actor_id="u-40",
    )
    bundle = new_bundle("acme", revision, [msgspec.structs.replace(one, version=revision)])
    publisher.publish(published, tenant="acme").result(20)
    publisher.publish(activation(bundle, previous_revision=revision - 1), tenant="acme").result(20)


def beat(publisher: Publisher, *, bundles: int = 1) -> None:
    event = PolicyHeartbeat(
        sequence=1, sent_at=datetime.now(UTC), every_ms=5_000, bundles=bundles, digest="0" * 64
    )
    publisher.publish(event, tenant=SYSTEM_TENANT).result(20)


def test_it_decides_by_what_was_published_and_goes_stale_without_governance(
    broker_factory: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    broker, kept = broker_factory(), tmp_path / "policies.json"
    with governance(broker.address) as publisher:
        activate(publisher, FORBID, revision=1)
        beat(publisher)
        with following(broker.address, kept, stale_seconds=2.0) as follower:
            eventually(lambda: follower.not_ready is None)
            standing = follower.standing("acme")
            assert (standing.policies.bundle.revision, standing.stale) == (1, None)
            assert follower.standing("other").policies.bundle.revision == 0
            beat(publisher, bundles=2)
            eventually(lambda: follower.replica.unread == 1)
            with pytest.raises(PoliciesUnknown, match="1 bundles of governance"):
                follower.standing("other")
            activate(publisher, FORBID, revision=2)
            eventually(lambda: follower.standing("acme").policies.bundle.revision == 2)
            eventually(lambda: follower.not_ready is not None)
            assert "nothing was heard of governance" in (follower.standing("acme").stale or "")
            with pytest.raises(PoliciesUnknown):
                follower.standing("other")
            beat(publisher)
            eventually(lambda: follower.not_ready is None)
    broker.kill()
    with following(broker.address, kept) as follower:
        again = follower.standing("acme")
        assert again.policies.bundle.revision == 2
        assert again.stale is not None
        with pytest.raises(PoliciesUnknown):
            follower.standing("other")


def test_nothing_is_decided_before_the_topic_was_read_once(tmp_path: Path) -> None:
    with following("127.0.0.1:1", tmp_path / "policies.json") as follower:
        with pytest.raises(PoliciesUnknown, match="not read yet"):
            follower.standing("acme")
        assert not follower.wait_current(0.01)


def test_a_change_decides_within_a_moment(
    broker_factory: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    """From the call of publish to the decision; the benchmark has the distribution."""
    broker = broker_factory()
    with governance(broker.address) as publisher:
        beat(publisher, bundles=0)
        with following(broker.address, tmp_path / "policies.json") as follower:
            eventually(lambda: follower.not_ready is None)
            activate(publisher, FORBID, revision=1)
            began = time.monotonic()
            eventually(lambda: follower.standing("acme").policies.bundle.revision == 1, seconds=5)
            assert time.monotonic() - began < 5


def test_the_file_of_policies_has_nothing_of_a_tenant_that_has_ended(
    broker_factory: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    broker, kept, ended = broker_factory(), tmp_path / "policies.json", set[str]()
    with governance(broker.address) as publisher:
        activate(publisher, FORBID, revision=1)
        beat(publisher)
        with following(broker.address, kept, ended=ended) as follower:
            eventually(lambda: kept.exists() and b"p-1" in kept.read_bytes())
            ended.add("acme")
        assert follower.tenants == {}
        assert b"acme" not in kept.read_bytes()
        assert b"p-1" not in kept.read_bytes()
