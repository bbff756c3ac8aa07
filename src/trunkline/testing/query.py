"""What tests and benchmarks of the query engine share: a small database, policies, and physical oracles."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from trunkline.services.policies.bundle import new_bundle
from trunkline.services.policies.policy import Policy
from trunkline.services.query.database import Limits, Running, TenantDatabase
from trunkline.services.query.planner import Policies

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
