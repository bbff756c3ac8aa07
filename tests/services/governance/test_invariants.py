"""Whatever people order and checks report, in any order: what must hold, holds after every step."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import count
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection, select

from trunkline.client.store import open_store
from trunkline.errors import InvalidInput
from trunkline.services.governance import asset_queries, queries
from trunkline.services.governance.holds import end_override
from trunkline.services.governance.metrics import GovernanceMetrics
from trunkline.services.governance.orders import Order, publish, revoke, roll_back
from trunkline.services.governance.pulse import Pulse
from trunkline.services.governance.quarantines import policy_id_of, wanted_by_checks
from trunkline.services.governance.state import state_digest
from trunkline.services.governance.tables import QUARANTINE
from trunkline.services.policies.bundle import Bundles
from trunkline.testing.governance_desk import START, Governance, draft, failed, passed
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import context_of

ASSETS: Final = ("urn:table:main.a", "urn:table:main.b", "urn:model:m")
STEPS: Final = ("fail", "pass", "publish", "revoke", "rollback", "release", "quarantine", "end", "tick")
TENANTS = count()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governance]:
    """One service for all examples; each is a tenant of its own."""
    directory = tmp_path_factory.mktemp("governance")
    case = Case(
        service="governance-service",
        digest=state_digest,
        settings={"governance.quarantine.error": {"fails": 2, "runs": 3, "mode": "warn"}},
    )
    url = f"sqlite:///{directory / 'governance.db'}"
    with closing(open_store(url)) as store, context_of(case, store, directory, now=START) as context:
        yield Governance(context)


def step(desk: Governance, tenant: str, name: str, rng: random.Random) -> None:
    asset, policy_id = rng.choice(ASSETS), rng.choice(("p-1", "p-2"))
    order = Order(tenant=tenant, actor_id="u-1", now=desk.now)
    desk.now += timedelta(minutes=10)
    if name == "fail":
        desk.report(
            failed(rng.choice("xy"), asset, severity=rng.choice(("error", "critical"))), tenant=tenant
        )
    elif name == "pass":
        desk.report(*(passed(check, asset) for check in "xy"), tenant=tenant)
    elif name in ("release", "quarantine"):
        desk.hold(asset, "released" if name == "release" else "enforce", tenant=tenant)
    elif name == "tick":
        Pulse(
            desk.store,
            desk.outbox,
            desk.rulebook,
            GovernanceMetrics(CollectorRegistry()),
            wall=lambda: desk.now,
        ).look()
    else:
        orders: dict[str, Callable[[Connection], object]] = {
            "publish": lambda tx: publish(
                tx, desk.outbox, [draft(policy_id, f"x = {rng.randrange(3)}")], order
            ),
            "revoke": lambda tx: revoke(tx, desk.outbox, policy_id, order),
            "rollback": lambda tx: roll_back(tx, desk.outbox, rng.randrange(1, 6), order),
            "end": lambda tx: end_override(tx, desk.outbox, asset, order, exempt_roles=()),
        }
        try:
            with desk.store.write() as tx:
                orders[name](tx)
        except InvalidInput:
            pass  # nothing to revoke, to end or to go back to


def holds(desk: Governance, tenant: str) -> None:
    """Without a word of a person, exactly what failing checks want is quarantined, and enforced."""
    with desk.store.read() as tx:
        bundle = queries.bundle(tx, tenant)
        overridden = {one.asset for one in asset_queries.overrides(tx, tenant)}
        found = tx.execute(select(QUARANTINE.c.asset).where(QUARANTINE.c.tenant == tenant)).scalars().all()
        for asset in ASSETS:
            wanted, _ = wanted_by_checks(tx, (tenant, asset))
            if asset not in overridden:
                assert (asset in found) == (wanted is not None), asset
            enforced = policy_id_of(asset) in bundle.members
            assert enforced == (asset in found and asset.startswith("urn:table:")), asset


def followed(desk: Governance, tenant: str) -> Bundles:
    bundles, last = Bundles(tenant), 0
    for event in desk.published(tenant=tenant):
        if bundles.apply(event):
            assert bundles.active.revision == last + 1
            last = bundles.active.revision
        assert bundles.incomplete is None
    return bundles


@settings(max_examples=12, deadline=None)
@given(names=st.lists(st.sampled_from(STEPS), max_size=20), seed=st.integers(0, 2**32))
def test_what_is_quarantined_is_what_checks_or_people_want(
    desk: Governance, names: list[str], seed: int
) -> None:
    tenant, rng = f"tenant-{next(TENANTS)}", random.Random(seed)
    for name in names:
        step(desk, tenant, name, rng)
        holds(desk, tenant)
    with desk.store.read() as tx:
        assert followed(desk, tenant).active == queries.bundle(tx, tenant)


def test_checks_and_people_at_the_same_time_leave_nothing_half_done(governance: Governance) -> None:
    """Handler, orders and pulse on one tenant, from threads of their own."""
    tenant, rounds = "acme", 25

    def work(names: tuple[str, ...], seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(rounds):
            step(governance, tenant, rng.choice(names), rng)

    jobs = (("fail", "pass"), ("release", "quarantine", "end"), ("publish", "revoke", "tick"))
    failures: list[BaseException] = []

    def guarded(names: tuple[str, ...], seed: int) -> None:
        try:
            work(names, seed)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(names, seed)) for seed, names in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    holds(governance, tenant)
    with governance.store.read() as tx:
        assert followed(governance, tenant).active == queries.bundle(tx, tenant)
