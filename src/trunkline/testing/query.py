"""What tests and benchmarks of the query engine share: a small database, policies, and physical oracles."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from trunkline.catalogue.load import load_catalogue
from trunkline.client.broadcast.entries import Reason, Resolution
from trunkline.client.outbox import Outbox
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store import Store
from trunkline.services.policies.bundle import new_bundle
from trunkline.services.policies.policy import Policy
from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import Limits, Running, TenantDatabase
from trunkline.services.query.databases import Databases
from trunkline.services.query.engine import Answer, QueryEngine, Request
from trunkline.services.query.following import KnownPolicies, Standing
from trunkline.services.query.limits import QuerySettings
from trunkline.services.query.metrics import QueryMetrics
from trunkline.services.query.planner import Policies
from trunkline.services.query.replica import TenantPolicies, tenant_policies

PEOPLE: Final = """
CREATE SCHEMA hr;
CREATE TABLE hr.salary AS
  SELECT i AS id, 'person ' || i AS name, CASE WHEN i % 2 = 0 THEN 'EMEA' ELSE 'APAC' END AS region,
         CASE WHEN i % 2 = 0 THEN '1' || i ELSE 'hidden' || i END AS secret, i * 1000 AS amount
  FROM range(100) AS r(i);
CREATE TABLE main.team AS SELECT i AS id, 'team ' || i % 5 AS team FROM range(100) AS r(i);
CREATE VIEW hr.everybody (number, secret_name) AS SELECT id, secret FROM hr.salary WHERE id >= 0;
CREATE VIEW main.all_of_them AS SELECT * FROM hr.everybody;
CREATE MACRO leak() AS TABLE SELECT * FROM hr.salary;
CREATE MACRO peek(x) AS (SELECT max(secret) FROM hr.salary);
"""
EMEA: Final = "region = 'EMEA'"


def policy(kind: str, scope: str, body: str, *, mode: str = "enforce", policy_id: str = "") -> Policy:
    """A policy of version 1 with an id from its kind and scope."""
    name = policy_id or f"{kind}-{scope.rpartition(':')[2]}"
    data: dict[str, Any] = {"policy_id": name, "version": 1, "kind": kind, "mode": mode}
    return Policy(**data, scope=scope, body=body, title=None)


def policies(*found: Policy, revision: int = 1, tags: Mapping[str, str] | None = None) -> Policies:
    """These as what decides for the tenant acme."""
    known = tags or {}
    return Policies(
        bundle=new_bundle("acme", revision, found),
        tags=known,
        tags_digest=repr(sorted(known.items())) if known else "",
    )


def rows_of(database: TenantDatabase, sql: str) -> list[tuple[Any, ...]]:
    """The rows that a planned statement gives."""
    return database.execute(sql, Limits(timeout_ms=20_000, rows_max=100_000), Running()).rows


def filtered_copy(source: Path, target: Path, changes: Mapping[str, str]) -> Path:
    """A copy of a database in which tables are replaced by queries on them: what the policies amount to."""
    target.write_bytes(source.read_bytes())
    with duckdb.connect(str(target)) as connection:
        for table, query in changes.items():
            connection.execute(f"CREATE OR REPLACE TABLE {table} AS {query}")
    return target


def comparable(rows: Sequence[Sequence[Any]]) -> list[str]:
    """The rows in one order. Sums of floating-point numbers depend on theirs, so the last digits are cut."""
    return sorted(json.dumps([_plain(value) for value in row], default=str) for row in rows)


def _plain(value: object) -> object:
    return float(f"{value:.9g}") if isinstance(value, float) else value


class EngineBench:
    """A query engine on a store and databases, with policies, settings and a clock of the test's own."""

    def __init__(self, store: Store, databases: Databases) -> None:
        self.store = store
        self.databases = databases
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.view: dict[str, TenantPolicies] = {}
        self.stale: str | None = None
        self.values: dict[str, Any] = {}
        self.woken = 0
        self.outbox = Outbox(service="query-engine", catalogue=load_catalogue(None))
        self.settings = QuerySettings(_Values(self.values))
        self.registry = CollectorRegistry()
        self.engine = QueryEngine(
            store,
            self.outbox,
            policies=self,
            databases=databases,
            settings=self.settings,
            metrics=QueryMetrics(self.registry),
            wake=self.wake,
            wall=lambda: self.now,
        )

    def standing(self, tenant: str) -> Standing:
        """See `PolicySource`."""
        return KnownPolicies(self.view, stale=self.stale).standing(tenant)

    def activate(self, *found: Policy, revision: int = 1, tenant: str = "acme") -> None:
        """Let these policies decide."""
        self.view[tenant] = tenant_policies(new_bundle(tenant, revision, found), {})

    def request(self, sql: str, *, tenant: str = "acme", user: str = "u-17", **reader: Any) -> Request:
        """A statement of a user; teams and roles as sets."""
        return Request(tenant=tenant, reader=Principal(user=user, **reader), sql=sql)

    def run(self, sql: str, **asked: Any) -> Answer:
        """Run it."""
        return self.engine.run(self.request(sql, **asked))

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and data of what waits in the outbox, in order."""
        query = select(OUTBOX_EVENT.c.type, OUTBOX_EVENT.c.payload).order_by(OUTBOX_EVENT.c.position)
        with self.store.read() as tx:
            return [(row.type, json.loads(row.payload)) for row in tx.execute(query)]

    def wake(self) -> None:
        """Counts."""
        self.woken += 1

    def close(self) -> None:
        """Give back what the engine has."""
        self.engine.close()


class _Values:
    """`services.app.Settings` of a dictionary."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def resolve(self, key: str, *, tenant: str | None = None, default: Any = None) -> Resolution:  # noqa: ARG002 - as `Settings` has it
        return Resolution(self._values.get(key, default), None, None, Reason.DEFAULT)

    def flag(self, key: str, *, tenant: str, tier: str | None = None, default: bool = False) -> Resolution:  # noqa: ARG002 - as `Settings` has it
        return Resolution(default, None, None, Reason.DEFAULT)

    def under(self, prefix: str) -> Mapping[tuple[str | None, str], Resolution]:
        return {
            (None, key): Resolution(value, None, None, Reason.FOUND)
            for key, value in self._values.items()
            if key.startswith(prefix)
        }
