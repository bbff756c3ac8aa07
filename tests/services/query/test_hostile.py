"""Tries to read around a filter. Rows of APAC and their secrets, which begin with `hidden`, are never seen.

A try may be refused, or give what it would give on a table without these rows; it gives neither the rows, nor
an error that tells of them, nor the error's absence.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from trunkline.errors import InvalidInput
from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import TenantDatabase
from trunkline.services.query.errors import BadStatement, QueryFailed
from trunkline.services.query.planner import Planner
from trunkline.testing.query import EMEA, comparable, filtered_copy, policies, policy, rows_of

READER = Principal(user="u-17")
FILTERED = policies(policy("row_filter", "urn:table:hr.salary", "regexp_matches(region, '^E.*A$')"))

REFUSED = [
    # Not a SELECT.
    "INSERT INTO hr.salary SELECT * FROM hr.salary",
    "UPDATE hr.salary SET region = 'EMEA'",
    "DELETE FROM hr.salary",
    "CREATE TABLE mine AS SELECT * FROM hr.salary",
    "CREATE VIEW mine AS SELECT * FROM hr.salary",
    "CREATE OR REPLACE MACRO m() AS TABLE SELECT * FROM hr.salary",
    "COPY hr.salary TO '/tmp/stolen.csv'",
    "COPY (SELECT * FROM hr.salary) TO '/tmp/stolen.csv'",
    "ATTACH '/tmp/other.duckdb' AS other",
    "PRAGMA database_list",
    "PRAGMA show_tables",
    "SET enable_external_access = true",
    "RESET ALL",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL pragma_version()",
    "EXPORT DATABASE '/tmp/stolen'",
    "IMPORT DATABASE '/tmp/stolen'",
    "EXPLAIN SELECT * FROM hr.salary",
    "EXPLAIN ANALYZE SELECT * FROM hr.salary",
    "DESCRIBE hr.salary",
    "SUMMARIZE hr.salary",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "PREPARE p AS SELECT * FROM hr.salary",
    "EXECUTE p",
    "USE hr",
    "BEGIN",
    "VACUUM",
    "CHECKPOINT",
    "DROP TABLE hr.salary",
    "ALTER TABLE hr.salary RENAME TO visible",
    "SELECT 1; SELECT * FROM hr.salary",
    "SELECT 1; DROP TABLE hr.salary",
    "SELECT * INTO mine FROM hr.salary",
    "SELECT * FROM hr.salary FOR UPDATE",
    "WITH gone AS (DELETE FROM hr.salary RETURNING *) SELECT * FROM gone",
    "",
    "-- nothing",
    "SELECT $1 FROM hr.salary",
    "SELECT ? FROM hr.salary",
    "PIVOT hr.salary ON region USING max(secret)",
    "UNPIVOT hr.salary ON name, secret INTO NAME n VALUE v",
    "SELECT * FROM hr.salary PIVOT (max(secret) FOR region IN ('APAC'))",
    "FROM (SUMMARIZE hr.salary)",
    "SELECT * FROM (DESCRIBE hr.salary)",
    "SELECT * FROM (SHOW ALL TABLES)",
    "SELECT * FROM hr.salary AT (VERSION => 1)",
    # Files, settings, the catalogue, and functions that tell of rows that they were not given.
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/*')",
    "SELECT * FROM read_json_auto('/etc/hostname')",
    "SELECT * FROM parquet_metadata('/tmp/x')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'https://example.org/x.csv'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_columns",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_table_info('hr.salary')",
    "SELECT * FROM pragma_storage_info('hr.salary')",
    "SELECT * FROM query('SELECT * FROM data.hr.salary')",
    "SELECT * FROM query_table('hr.salary')",
    "SELECT * FROM query_table(['hr.salary'])",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM hr.salary'))",
    "SELECT json_serialize_plan('SELECT * FROM hr.salary')",
    "SELECT * FROM seq_scan('hr.salary')",
    "SELECT * FROM summary(hr.salary)",
    "SELECT * FROM leak()",
    "SELECT peek(1)",
    "SELECT stats(secret) FROM hr.salary LIMIT 1",
    "SELECT getenv('HOME')",
    "SELECT current_setting('threads')",
    "SELECT getvariable('x')",
    "SELECT current_query()",
    "SELECT error(secret) FROM hr.salary",
    "SELECT nextval('s')",
    "SELECT sleep_ms(1000)",
    "SELECT write_log('x')",
    "SELECT system.main.getenv('HOME')",
    "SELECT s.secret.stats() FROM hr.salary AS s",
    "SELECT list_transform([1], lambda x: getenv('HOME'))",
    # Names that are not there, though they look as if.
    'SELECT * FROM "hr.salary"',
    "SELECT * FROM salary",
    "SELECT * FROM other.hr.salary",
    "SELECT * FROM system.hr.salary",
    "SELECT * FROM a.b.c.d",
    "SELECT * FROM __cte_1",
    "WITH x AS (SELECT 1 AS id) SELECT * FROM (SELECT * FROM __cte_1) AS y, __cte_9",
    "SELECT rowid FROM hr.salary ORDER BY missing",
]

TRIED = [
    "SELECT * FROM hr.salary",
    "SELECT * FROM HR.SALARY",
    'SELECT * FROM "hr"."salary"',
    "SELECT * FROM hr . /* salary */ salary -- WHERE",
    "SELECT * FROM data.hr.salary",
    "SELECT * FROM hr.salary AS team JOIN team AS salary ON team.id = salary.id",
    "SELECT hr.* FROM hr.salary AS hr",
    "WITH salary AS (SELECT * FROM hr.salary) SELECT * FROM salary",
    'WITH "hr.salary" AS (SELECT 1 AS id) SELECT * FROM hr.salary',
    "WITH hr AS (SELECT 1 AS id) SELECT * FROM hr.salary",
    "WITH team AS (SELECT * FROM team), salary AS (SELECT * FROM hr.salary) SELECT * FROM salary, team",
    "WITH a AS (WITH b AS (SELECT * FROM hr.salary) SELECT * FROM b) SELECT * FROM a",
    "WITH RECURSIVE s AS (SELECT id, secret FROM hr.salary UNION SELECT id, secret FROM s) SELECT * FROM s",
    "WITH x AS MATERIALIZED (SELECT * FROM hr.salary) SELECT * FROM x",
    "SELECT * FROM hr.everybody",
    "SELECT * FROM all_of_them",
    "SELECT * FROM all_of_them AS v (a, b) WHERE b LIKE 'hid%'",
    "SELECT salary FROM hr.salary",
    "SELECT s FROM hr.salary AS s",
    "SELECT struct_pack(a := s) FROM hr.salary AS s",
    "SELECT row(s.*) FROM hr.salary AS s",
    "SELECT to_json(s) FROM hr.salary AS s",
    "SELECT COLUMNS('.*ecre.*') FROM hr.salary",
    "SELECT * EXCLUDE (id) FROM hr.salary",
    "SELECT * LIKE 'sec%' FROM hr.salary",
    "FROM hr.salary",
    "TABLE hr.salary",
    "(SELECT * FROM hr.salary)",
    "SELECT list(secret) FROM hr.salary",
    "SELECT array_agg(s) FROM hr.salary AS s",
    "SELECT string_agg(secret, ',' ORDER BY id) FROM hr.salary",
    "SELECT histogram(secret) FROM hr.salary",
    "SELECT min(secret), max(secret), min(region), count(*), count(DISTINCT region) FROM hr.salary",
    "SELECT approx_quantile(amount, 0.5), mode(region), entropy(region) FROM hr.salary",
    "SELECT first(secret), last(secret), any_value(secret), arg_max(secret, id) FROM hr.salary",
    "SELECT lag(secret) OVER (ORDER BY id), first_value(secret) OVER (ORDER BY id DESC) FROM hr.salary",
    "SELECT * FROM hr.salary QUALIFY row_number() OVER (ORDER BY secret DESC) <= 3",
    "SELECT id, (SELECT secret FROM hr.salary AS s WHERE s.id = team.id) FROM team",
    "SELECT id, ARRAY(SELECT secret FROM hr.salary) FROM team LIMIT 1",
    "SELECT [x FOR x IN (SELECT list(secret) FROM hr.salary)]",
    "SELECT list_transform((SELECT list(secret) FROM hr.salary), lambda x: x || '!')",
    "SELECT * FROM team WHERE id IN (SELECT id FROM hr.salary WHERE region = 'APAC')",
    "SELECT * FROM team WHERE EXISTS (FROM hr.salary WHERE region = 'APAC' AND hr.salary.id = team.id)",
    "SELECT * FROM team WHERE id = ANY (SELECT id FROM hr.salary WHERE secret LIKE 'hid%')",
    "SELECT * FROM team LIMIT (SELECT count(*) FROM hr.salary WHERE region = 'APAC')",
    "SELECT * FROM team ORDER BY (SELECT max(secret) FROM hr.salary), id OFFSET 1",
    "SELECT team, count(*) FROM team GROUP BY team HAVING count(*) > (SELECT count(*) FROM hr.salary) / 10",
    "SELECT * FROM team JOIN hr.salary ON true WHERE region = 'APAC'",
    "SELECT * FROM team NATURAL JOIN hr.salary",
    "SELECT * FROM team LEFT JOIN hr.salary USING (id) WHERE hr.salary.id IS NULL",
    "SELECT * FROM team ANTI JOIN hr.salary USING (id)",
    "SELECT * FROM team POSITIONAL JOIN hr.salary",
    "SELECT * FROM team ASOF JOIN hr.salary ON team.id >= hr.salary.id",
    "SELECT * FROM team, LATERAL (SELECT secret FROM hr.salary AS s WHERE s.id = team.id + 1) AS l",
    "SELECT * FROM (VALUES ((SELECT max(secret) FROM hr.salary))) AS v (x)",
    "SELECT unnest((SELECT list(secret) FROM hr.salary))",
    "SELECT * FROM unnest((SELECT list(secret) FROM hr.salary)) AS u (x)",
    "SELECT id FROM team EXCEPT SELECT id FROM hr.salary",
    "SELECT id FROM hr.salary UNION ALL BY NAME SELECT secret FROM hr.salary",
    "SELECT CASE WHEN (SELECT count(*) FROM hr.salary) > 50 THEN 'all' ELSE 'some' END",
    "SELECT * FROM hr.salary WHERE region = 'APAC' OR true",
    "SELECT * FROM hr.salary WHERE NOT (region = 'EMEA')",
    "SELECT * FROM hr.salary WHERE region IS DISTINCT FROM 'EMEA'",
    "SELECT count(*) FROM hr.salary AS a, hr.salary AS b WHERE a.region <> b.region",
    "SELECT * FROM hr.salary AS a (id, name, secret, region, amount)",
    "SELECT region AS secret, secret AS region FROM hr.salary WHERE region = 'EMEA'",
    "SELECT DISTINCT ON (region) * FROM hr.salary ORDER BY region, id",
    "SELECT region, max(secret) FROM hr.salary GROUP BY GROUPING SETS ((region), ())",
    "SELECT region, sum(amount) FROM hr.salary GROUP BY CUBE (region)",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM (hr.salary)))",
    "SELECT * FROM (hr.salary AS x CROSS JOIN team)",
    "SELECT $$' ; DROP TABLE hr.salary; --$$, secret FROM hr.salary",
    "SELECT E'\\'; SELECT' AS x, secret FROM hr.salary",
    "SELECT '/*', secret, '*/' FROM hr.salary",
    "SELECT secret /* ; */ FROM hr.salary /* FROM team */",
    'SELECT 1 AS "x"" FROM data.hr.salary; --", secret FROM hr.salary',
    'SELECT secret AS "limit 1) AS t; SELECT * FROM data.hr.salary" FROM hr.salary',
    'SELECT q.* FROM hr.salary AS "q"" WHERE true --" JOIN hr.salary AS q USING (id)',
    "SELECT * FROM hr.salary ORDER BY ALL LIMIT 100%",
]

ORACLES = [
    "CAST(secret AS INTEGER) >= 0",
    "CAST('[' || secret || ']' AS INTEGER[]) IS NOT NULL",
    "chr(CASE WHEN secret LIKE 'hid%' THEN -5 ELSE 65 END) <> ''",
    "id * CASE WHEN region = 'APAC' THEN 9223372036854775807 ELSE 1 END >= 0",
    "strptime(CASE WHEN region = 'APAC' THEN 'x' ELSE '1' END, '%d') IS NOT NULL",
    "sqrt(CASE WHEN region = 'APAC' THEN -1 ELSE 1 END) = 1",
    "ln(CASE WHEN region = 'APAC' THEN 0 ELSE 1 END) = 0",
    "date_trunc(CASE WHEN region = 'APAC' THEN 'zzz' ELSE 'day' END, DATE '2020-01-01') IS NOT NULL",
    "make_date(2020, 1, CASE WHEN region = 'APAC' THEN 99 ELSE 1 END) IS NOT NULL",
    "regexp_matches('a', CASE WHEN region = 'APAC' THEN '(' ELSE 'a' END)",
    "from_base64(CASE WHEN region = 'APAC' THEN '0' ELSE 'AAAA' END) IS NOT NULL",
    "json_extract(CASE WHEN region = 'APAC' THEN '{' ELSE '{}' END, '$.x') IS NULL",
    "like_escape('a', 'b', CASE WHEN region = 'APAC' THEN 'xx' ELSE 'x' END) IN (true, false)",
    "factorial(CASE WHEN region = 'APAC' THEN 500 ELSE 1 END) = 1",
    "CAST(CASE WHEN region = 'APAC' THEN 300 ELSE 1 END AS UTINYINT) = 1",
]
PLACES = [
    "SELECT count(*) FROM hr.salary WHERE {}",
    "SELECT count(*) FROM hr.salary JOIN range(3) AS r (i) ON {}",
    "SELECT count(*) FROM hr.salary LEFT JOIN range(3) AS r (i) ON {}",
    "SELECT count(*) FROM range(3) AS r (i) WHERE EXISTS (SELECT 1 FROM hr.salary WHERE {})",
    "WITH s AS (SELECT * FROM hr.salary) SELECT max(id) FROM s WHERE {} AND id > 3",
    "SELECT count(*) FROM (SELECT * FROM hr.salary WHERE id > 1) AS s WHERE {}",
]


@pytest.fixture(scope="module")
def oracle(
    people_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    changes = {"hr.salary": f"SELECT * FROM hr.salary WHERE {EMEA}"}
    path = filtered_copy(people_path, tmp_path_factory.mktemp("hostile") / "data.duckdb", changes)
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_no_query_on_tables_is_refused(sql: str, planner: Planner, people: TenantDatabase) -> None:
    with pytest.raises((BadStatement, QueryFailed)) as refused:
        rows_of(people, planner.plan(sql, READER, FILTERED, people.relations).require_allowed())
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("sql", TRIED)
def test_nothing_of_hidden_rows_is_seen(
    sql: str, planner: Planner, people: TenantDatabase, oracle: duckdb.DuckDBPyConnection
) -> None:
    try:
        found = rows_of(people, planner.plan(sql, READER, FILTERED, people.relations).require_allowed())
    except (InvalidInput, QueryFailed) as error:
        assert "hidden" not in str(error)  # noqa: PT017 - a refusal is as good as an answer without them
        return
    shown = comparable(found)
    assert not any("hidden" in row for row in shown)
    assert shown == comparable(oracle.execute(sql).fetchall())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("condition", ORACLES)
def test_no_error_tells_of_hidden_rows(
    condition: str, place: str, planner: Planner, people: TenantDatabase, oracle: duckdb.DuckDBPyConnection
) -> None:
    sql = place.format(condition)
    expected = oracle.execute(sql).fetchall()
    plan = planner.plan(sql, READER, FILTERED, people.relations)
    assert rows_of(people, plan.require_allowed()) == expected


def test_most_tries_are_answered_and_not_refused(planner: Planner, people: TenantDatabase) -> None:
    """A corpus that is refused altogether would prove nothing."""
    answered = 0
    for sql in TRIED:
        try:
            planner.plan(sql, READER, FILTERED, people.relations).require_allowed()
        except BadStatement:
            continue
        answered += 1
    assert answered >= len(TRIED) - 6
