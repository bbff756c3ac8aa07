"""What a decision of the query engine costs, and how soon a revocation decides."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events.policy import PolicyHeartbeat, PolicyPublished
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX, Outbox, Relay
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, migrate, open_store
from trunkline.services.policies.bundle import activation, new_bundle
from trunkline.services.policies.policy import Policy
from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import TenantDatabase
from trunkline.services.query.databases import provision, tpch_statements
from trunkline.services.query.following import PolicyFollower
from trunkline.services.query.planner import Planner, Policies
from trunkline.services.query.rules import TableRules
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.bench.raw import LoadFailed
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.query import policies, policy

PART: Final = "query"
READERS: Final = 500
REVOCATIONS: Final = 40
VARIANTS: Final = 6
"""Of each statement, so that the slowest of a hundred is not one chance event."""
DEADLINE_S: Final = 30.0
TENANT: Final = "acme"
DECISION_P99_MS: Final = 0.3
PLAN_P99_MS: Final = 5.0
REVOKE_P99_MS: Final = 250.0

NOTES: Final = (
    "query: a decision is about one table with four access policies by a reader not seen before; a plan is a "
    "query of TPC-H with filters on four tables and two masks, decided, rewritten and inspected, first for a "
    "statement not seen before and then for a reader not seen before; a revocation counts from governance's "
    "commit to the first denial",
)

_ACCESS: Final = (
    'permit (principal in Team::"sales", action, resource);',
    'permit (principal in Role::"admin", action, resource in Schema::"tpch");',
    'forbid (principal == User::"u-0", action, resource);',
    "forbid (principal, action, resource) unless { resource has quarantined && !resource.quarantined };",
)
_FILTERS: Final = {
    "lineitem": "l_shipmode <> 'AIR'",
    "orders": "o_orderpriority <> '1-URGENT'",
    "customer": "c_mktsegment <> 'BUILDING'",
    "nation": "n_name <> 'CHINA'",
}


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Milliseconds of decisions, of plans, and from a revocation to the first denial."""
    path = directory / "tpch" / "data.duckdb"
    provision(path, "tpch")
    decided = policies(
        *(policy("access", "urn:schema:tpch", body, policy_id=f"a-{n}") for n, body in enumerate(_ACCESS)),
        *(policy("row_filter", f"urn:table:tpch.{table}", body) for table, body in _FILTERS.items()),
        policy("mask", "urn:column:tpch.customer.c_phone", "left(_, 2)"),
        policy("mask", "urn:column:tpch.supplier.s_comment", "md5(_)"),
    )
    decisions: list[float] = []
    fresh: list[float] = []
    known: list[float] = []
    with closing(TenantDatabase(path, memory_mb=256)) as database:
        for number in range(rounds):
            say(f"query, round {number + 1} of {rounds}")
            decisions.append(percentile(_decisions(database, decided, number), 99))
            first, second = _plans(database, decided)
            fresh.append(percentile(first, 99))
            known.append(percentile(second, 99))
    say("query: revocations")
    revoked = [percentile(_revocations(directory / f"revoke-{number}"), 99) for number in range(rounds)]
    return [
        _p99("decision", decisions, DECISION_P99_MS),
        _p99("decision and rewriting, new statement", fresh, PLAN_P99_MS),
        _p99("decision and rewriting, new reader", known, PLAN_P99_MS),
        _p99("revoke to enforce", revoked, REVOKE_P99_MS),
    ]


def _p99(name: str, samples: list[float], target: float) -> Figure:
    return figure(PART, f"{name}, p99", samples=samples, unit="ms", better="less", target=target)


def _decisions(database: TenantDatabase, decided: Policies, number: int) -> list[float]:
    rules = TableRules(
        database.relations.find(("orders",)), decided.bundle.policies, {}, open_by_default=True
    )
    took = []
    for user in range(READERS):
        reader = Principal(user=f"u-{number}-{user}", teams=frozenset({"sales"}))
        began = time.perf_counter()
        decision = rules.decide(reader, origin="user")
        took.append((time.perf_counter() - began) * 1000)
        assert decision.denied_by is None
    return took


def _plans(database: TenantDatabase, decided: Policies) -> tuple[list[float], list[float]]:
    first: list[float] = []
    second: list[float] = []
    with closing(Planner()) as planner:
        statements = [f"{sql} -- {number}" for number in range(VARIANTS) for sql in tpch_statements()]
        for took, user in ((first, "u-1"), (second, "u-2")):
            reader = Principal(user=user, teams=frozenset({"sales"}))
            for sql in statements:
                began = time.perf_counter()
                planner.plan(sql, reader, decided, database.relations).require_allowed()
                took.append((time.perf_counter() - began) * 1000)
    return first, second


def _revocations(directory: Path) -> list[float]:
    """As governance does it: through an outbox in a store, which a relay publishes."""
    catalogue = load_catalogue(None)
    took = []
    with BrokerProcess(directory / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, catalogue, "development")
        with (
            Publisher(service="governance-service", connection=connection, catalogue=catalogue) as publisher,
            _store(directory / "governance.db") as store,
        ):
            outbox = Outbox(service="governance-service", catalogue=catalogue)
            relay = Relay(store, publisher)
            relay.start()
            follower = PolicyFollower(connection, last_known_good=None)
            follower.start()
            try:
                _beat(store, outbox)
                relay.wake()
                _until(lambda: follower.not_ready is None)
                for revision in range(1, REVOCATIONS + 1):
                    _publish(store, outbox, revision)
                    began = time.perf_counter()
                    relay.wake()
                    _until(partial(_decides, follower, revision))
                    took.append((time.perf_counter() - began) * 1000)
            finally:
                follower.stop()
                relay.stop()
    return took


@contextmanager
def _store(path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{path}")
    try:
        migrate(store, OUTBOX)
        yield store
    finally:
        store.close()


def _publish(store: Store, outbox: Outbox, revision: int) -> None:
    one = msgspec.structs.replace(
        policy(
            "access", "*", f'forbid (principal == User::"u-{revision}", action, resource);', policy_id="p"
        ),
        version=revision,
    )
    with store.write() as tx:
        outbox.emit(tx, _published(one), tenant=TENANT)
        event = activation(new_bundle(TENANT, revision, [one]), previous_revision=revision - 1)
        outbox.emit(tx, event, tenant=TENANT)


def _published(one: Policy) -> PolicyPublished:
    return PolicyPublished(
        policy_id=one.policy_id,
        version=one.version,
        kind=one.kind,
        mode=one.mode,
        scope=one.scope,
        body=one.body,
        actor_id=f"bench-{os.getpid()}",
    )


def _beat(store: Store, outbox: Outbox) -> None:
    event = PolicyHeartbeat(sequence=1, sent_at=datetime.now(UTC), every_ms=5_000, bundles=0, digest="0" * 64)
    with store.write() as tx:
        outbox.emit(tx, event, tenant=SYSTEM_TENANT)


def _decides(follower: PolicyFollower, revision: int) -> bool:
    return follower.standing(TENANT).policies.bundle.revision >= revision


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + DEADLINE_S
    while not holds():
        if time.perf_counter() > deadline:
            raise LoadFailed(f"the policies were not there within {DEADLINE_S:g} s")
        time.sleep(0.0005)
