"""A rewritten query gives what the same query gives on tables that were filtered and masked physically."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import TenantDatabase
from trunkline.services.query.databases import tpch_statements
from trunkline.services.query.planner import Planner
from trunkline.testing.query import (
    EMEA,
    comparable,
    filtered_copy,
    policies,
    policy,
    rows_of,
)

READER = Principal(user="u-17", teams=frozenset({"sales"}))
FILTERS = {
    "lineitem": "l_shipmode <> 'AIR' AND l_quantity > 5",
    "orders": "o_orderpriority <> '1-URGENT'",
    "customer": "c_mktsegment <> 'MACHINERY' OR c_nationkey = 3",
    "supplier": "s_suppkey % 7 <> 0",
    "nation": "n_name <> 'CHINA'",
}
MASKS = {
    "customer": ("c_phone", "left(_, 2) || '-***'"),
    "supplier": ("s_comment", "CAST(NULL AS VARCHAR)"),
    "part": ("p_name", "upper(_)"),
}
TPCH = policies(
    *(policy("row_filter", f"urn:table:tpch.{table}", body) for table, body in FILTERS.items()),
    *(policy("mask", f"urn:column:tpch.{table}.{column}", body) for table, (column, body) in MASKS.items()),
)
HR = policies(
    policy("row_filter", "urn:table:hr.salary", EMEA),
    policy("mask", "urn:column:hr.salary.name", "md5(_)"),
    policy("row_filter", "urn:table:main.team", "id < 60"),
)


def physical_change(table: str) -> str:
    mask = MASKS.get(table)
    replaced = "" if mask is None else f" REPLACE ({mask[1].replace('_', mask[0], 1)} AS {mask[0]})"
    return f"SELECT *{replaced} FROM tpch.{table} WHERE {FILTERS.get(table, 'true')}"


@pytest.fixture(scope="session")
def tpch_oracle(
    tpch_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    changes = {f"tpch.{table}": physical_change(table) for table in {*FILTERS, *MASKS}}
    path = filtered_copy(tpch_path, tmp_path_factory.mktemp("oracle") / "data.duckdb", changes)
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET schema = 'tpch'")
        yield connection


@pytest.fixture(scope="session")
def people_oracle(
    people_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    changes = {
        "hr.salary": f"SELECT * REPLACE (md5(name) AS name) FROM hr.salary WHERE {EMEA}",
        "main.team": "SELECT * FROM main.team WHERE id < 60",
    }
    path = filtered_copy(people_path, tmp_path_factory.mktemp("people-oracle") / "data.duckdb", changes)
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def tpch_itself(tpch_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same rows without any policy."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{tpch_path}' AS source (READ_ONLY)")
        for (table,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'tpch'"
        ).fetchall():
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM source.tpch.{table}")
        connection.execute("DETACH source")
        yield connection


@pytest.fixture(scope="session")
def statements() -> list[str]:
    return tpch_statements()


@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_sees_filtered_and_masked_tables(
    number: int,
    statements: list[str],
    planner: Planner,
    tpch: TenantDatabase,
    tpch_oracle: duckdb.DuckDBPyConnection,
) -> None:
    sql = statements[number - 1]
    plan = planner.plan(sql, READER, TPCH, tpch.relations)
    found = rows_of(tpch, plan.require_allowed())
    assert comparable(found) == comparable(tpch_oracle.execute(sql).fetchall())


@pytest.mark.parametrize("number", range(1, 23))
def test_a_query_of_tpch_without_policies_is_what_it_was(
    number: int,
    statements: list[str],
    planner: Planner,
    tpch: TenantDatabase,
    tpch_itself: duckdb.DuckDBPyConnection,
) -> None:
    sql = statements[number - 1]
    plan = planner.plan(sql, READER, policies(), tpch.relations)
    found = rows_of(tpch, plan.require_allowed())
    assert comparable(found) == comparable(tpch_itself.execute(sql).fetchall())


def test_the_filters_of_tpch_change_something(
    statements: list[str], tpch_itself: duckdb.DuckDBPyConnection, tpch_oracle: duckdb.DuckDBPyConnection
) -> None:
    """Else the comparison above would compare nothing."""
    changed = [
        comparable(tpch_itself.execute(sql).fetchall()) != comparable(tpch_oracle.execute(sql).fetchall())
        for sql in statements
    ]
    assert sum(changed) >= 15


SHAPES = [
    "SELECT * FROM hr.salary",
    "SELECT s.* FROM hr.salary AS s JOIN team USING (id)",
    "SELECT * FROM hr.salary NATURAL JOIN team",
    "SELECT * FROM hr.salary; -- that is all",
    "SELECT * FROM hr.salary AS a (x, y, z) JOIN team AS b ON x = b.id",
    "SELECT hr.salary.name FROM hr.salary WHERE hr.salary.amount > 3",
    "SELECT salary FROM hr.salary WHERE id = 4",
    "SELECT * EXCLUDE (secret) REPLACE (amount / 2 AS amount) FROM hr.salary",
    "SELECT COLUMNS('n.*') FROM hr.salary",
    "FROM hr.salary SELECT count(*), sum(amount)",
    "SELECT team, (SELECT count(*) FROM hr.salary WHERE hr.salary.id = team.id) FROM team",
    "SELECT t.team FROM team AS t WHERE EXISTS (SELECT 1 FROM hr.salary AS s WHERE s.id = t.id)",
    "SELECT * FROM team AS t, LATERAL (SELECT max(amount) FROM hr.salary AS s WHERE s.id <= t.id) AS m",
    "WITH salary AS (SELECT * FROM hr.salary) SELECT count(*) FROM salary",
    "WITH RECURSIVE up AS (SELECT 2 AS id UNION ALL SELECT up.id + 2 FROM up JOIN hr.salary USING (id)"
    " WHERE up.id < 50) SELECT * FROM up",
    "WITH a AS (SELECT id FROM hr.salary), b AS (SELECT id FROM a WHERE id > 50)"
    " SELECT * FROM b UNION SELECT * FROM a",
    "SELECT id FROM hr.salary EXCEPT SELECT id FROM team",
    "(SELECT id FROM hr.salary) INTERSECT (SELECT id FROM team ORDER BY id LIMIT 30)",
    "SELECT * FROM hr.everybody",
    "SELECT secret_name FROM all_of_them WHERE number > 10",
    "SELECT * FROM (hr.salary AS s JOIN team AS t ON s.id = t.id) AS j",
    "SELECT * FROM hr.salary ASOF JOIN team ON hr.salary.id >= team.id",
    "SELECT region, count(*) FROM hr.salary GROUP BY ROLLUP (region)",
    "SELECT name, row_number() OVER (PARTITION BY region ORDER BY id) FROM hr.salary"
    " QUALIFY row_number() OVER (ORDER BY id) < 9",
    "SELECT list(amount ORDER BY id), max(secret) FILTER (WHERE id > 5) FROM hr.salary",
    "SELECT s.id FROM hr.salary AS s LEFT JOIN team AS t ON s.id = t.id WHERE t.id IS NULL",
    "SELECT t.id, s.id FROM team AS t FULL JOIN hr.salary AS s ON s.id = t.id + 40",
    "SELECT * FROM hr.salary AS s SEMI JOIN team AS t ON s.id = t.id",
    "SELECT * FROM hr.salary AS s ANTI JOIN team AS t ON s.id = t.id",
    "SELECT * FROM (VALUES (1), (2)) AS v (id) JOIN hr.salary USING (id)",
    "SELECT x FROM range(3) AS r (x), unnest([1, 2]) AS u (y) WHERE x IN (SELECT id FROM hr.salary)",
    "SELECT [x + 1 FOR x IN list(id)] FROM hr.salary WHERE id < 9",
    'SELECT "NAME" FROM HR."Salary"',
    "SELECT a.id FROM hr.salary AS a, hr.salary AS b WHERE a.id = b.id + 2 AND b.secret LIKE '1%'",
    "SELECT data.hr.salary.id FROM data.hr.salary",
    "SELECT count(*) FROM hr.salary POSITIONAL JOIN team",
    "SELECT id, CASE WHEN id > (SELECT avg(id) FROM hr.salary) THEN 1 END FROM team",
]


@pytest.mark.parametrize("sql", SHAPES)
def test_a_query_of_any_shape_sees_filtered_and_masked_tables(
    sql: str,
    planner: Planner,
    people: TenantDatabase,
    people_oracle: duckdb.DuckDBPyConnection,
) -> None:
    plan = planner.plan(sql, READER, HR, people.relations)
    found = rows_of(people, plan.require_allowed())
    assert comparable(found) == comparable(people_oracle.execute(sql).fetchall())


NAMES = st.sampled_from(["hr.salary", "team", "hr.everybody", "all_of_them"])
SHAPE_KINDS = ["table", "join", "sub", "union", "cte", "exists", "lateral"]
KEYS = {"hr.salary": "id", "team": "id", "hr.everybody": "number", "all_of_them": "number"}


@st.composite
def queries(draw: st.DrawFn, depth: int = 2, ctes: tuple[str, ...] = ()) -> str:  # noqa: PLR0911 - a table of shapes
    """A query with one column `k`: joins, subqueries, set operations, and expressions that hide tables."""

    def inner(names: tuple[str, ...] = ctes) -> str:
        return draw(queries(depth=depth - 1, ctes=names))

    names = st.one_of(NAMES, st.sampled_from(ctes)) if ctes else NAMES
    kind = draw(st.sampled_from(SHAPE_KINDS)) if depth else "table"
    match kind:
        case "join":
            how = draw(st.sampled_from(["JOIN", "LEFT JOIN", "SEMI JOIN", "FULL JOIN"]))
            shift = draw(st.integers(0, 3))
            return f"SELECT a.k FROM ({inner()}) AS a {how} ({inner()}) AS b ON a.k = b.k + {shift}"
        case "sub":
            bound = f"SELECT k FROM ({inner()}) AS r WHERE k < {draw(st.integers(0, 99))}"
            return f"SELECT k FROM ({inner()}) AS q WHERE k IN ({bound})"
        case "union":
            how = draw(st.sampled_from(["UNION ALL", "EXCEPT", "INTERSECT"]))
            return f"SELECT k FROM ({inner()} {how} {inner()}) AS u"
        case "cte":
            name = draw(st.sampled_from(["team", "salary", "x", "all_of_them"]))
            return f"SELECT k FROM (WITH {name} AS ({inner()}) {inner((*ctes, name))}) AS w"
        case "exists":
            found = f"SELECT 1 FROM ({inner()}) AS i WHERE i.k = o.k"
            return f"SELECT k FROM ({inner()}) AS o WHERE EXISTS ({found})"
        case "lateral":
            found = f"SELECT i.k FROM ({inner()}) AS i WHERE i.k = o.k"
            return f"SELECT l.k FROM ({inner()}) AS o, LATERAL ({found}) AS l"
        case _:
            name = draw(names)
            return f"SELECT {'k' if name in ctes else KEYS[name]} AS k FROM {name}"


@given(sql=queries())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_generated_queries_see_filtered_tables(
    sql: str,
    planner: Planner,
    people: TenantDatabase,
    people_oracle: duckdb.DuckDBPyConnection,
) -> None:
    plan = planner.plan(sql, READER, HR, people.relations)
    found = rows_of(people, plan.require_allowed())
    assert comparable(found) == comparable(people_oracle.execute(sql).fetchall())
