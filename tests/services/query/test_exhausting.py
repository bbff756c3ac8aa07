"""Statements that would take the engine down, or hours of it, are refused before anything is executed."""

import time
from pathlib import Path

import duckdb
import pytest

from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import TenantDatabase
from trunkline.services.query.errors import BadStatement
from trunkline.services.query.planner import Planner
from trunkline.testing.query import EMEA, policies, policy, rows_of

READER = Principal(user="u-17")
FILTERED = policies(
    policy("row_filter", "urn:table:hr.salary", EMEA), policy("mask", "urn:column:main.team.team", "NULL")
)

TOO_DEEP = [
    "SELECT id" + "->'a'" * 40 + " FROM team",
    "SELECT " + "list_transform([1], lambda x: " * 40 + "y" + ")" * 40,
    "SELECT " + ", ".join(["id->'a'->'b'->'c'"] * 300) + " FROM team",
    "SELECT 1" + "::INT" * 900,
    "SELECT " + " + ".join(["1"] * 700),
    "SELECT " + "NOT " * 700 + "true",
    "WITH x AS (" * 90 + "SELECT 1" + ") SELECT 1" * 90,
    "SELECT * FROM team " + "JOIN team " * 60,
    "FROM " * 15_000 + "team",
]


@pytest.mark.parametrize("sql", TOO_DEEP, ids=lambda sql: sql[:40])
def test_what_is_nested_too_deeply_is_refused_at_once(
    sql: str, planner: Planner, people: TenantDatabase
) -> None:
    began = time.process_time()
    with pytest.raises(BadStatement) as refused:
        planner.plan(sql, READER, FILTERED, people.relations)
    assert refused.value.code == "too_deep"
    assert time.process_time() - began < 5


def test_paths_into_json_are_not_too_deep(planner: Planner, people: TenantDatabase) -> None:
    sql = "SELECT '{\"a\": {\"b\": {\"c\": 1}}}'::JSON->'a'->'b'->'c' AS c FROM team LIMIT 1"
    plan = planner.plan(sql, READER, FILTERED, people.relations)
    assert rows_of(people, plan.require_allowed()) == [("1",)]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (SELECT 1 AS a) SELECT x.a FROM x /* sqlglot.meta relation */, team, hr.salary LIMIT 1",
        "WITH x AS (SELECT 1 AS a) SELECT x.a FROM x /* sqlglot.meta relation=0 */, team LIMIT 1",
        "SELECT a FROM (SELECT 1 AS a) AS t /* sqlglot.meta relation=9 */, team LIMIT 1",
    ],
)
def test_a_comment_marks_no_table(sql: str, planner: Planner, people: TenantDatabase) -> None:
    plan = planner.plan(sql, READER, FILTERED, people.relations)
    assert rows_of(people, plan.require_allowed()) == [(1,)]


def test_a_view_that_cannot_be_read_is_refused(tmp_path: Path, planner: Planner) -> None:
    with duckdb.connect(str(tmp_path / "data.duckdb")) as connection:
        deep = "abs(" * 150 + "1" + ")" * 150
        connection.execute(f"CREATE VIEW v AS SELECT {deep} AS a")
    database = TenantDatabase(tmp_path / "data.duckdb", memory_mb=128)
    try:
        with pytest.raises(BadStatement, match="view v: its definition cannot be read"):
            planner.plan("SELECT * FROM v", READER, FILTERED, database.relations)
    finally:
        database.close()
