"""What a text does to the parser is bounded before the parser sees it."""

import subprocess
import sys
import time

import pytest
from sqlglot.errors import SqlglotError

from trunkline.services.kit.sql import OPEN_JOINS_MAX, TooDeep, dialect_of, parse

DUCKDB = dialect_of("duckdb")

OVERFLOWS = [
    "SELECT * FROM " + "(SELECT * FROM " * 7_000 + "t" + ")" * 7_000,
    "SELECT * FROM " + "(" * 50_000 + "t" + ")" * 50_000,
    "FROM " * 20_000 + "t",
    "SELECT * FROM t " + "JOIN (t" * 12_000,
]
"""Each ends the process of the compiled parser by a segmentation fault."""

ENDLESS = [
    "SELECT * FROM t " + "JOIN t " * 60,
    "SELECT * FROM t " + "JOIN (t JOIN t) " * 60,
    "SELECT a" + "[1]" * 20_000,
    "SELECT a" + ".b[1]" * 10_000,
]


@pytest.mark.parametrize("sql", OVERFLOWS, ids=lambda sql: sql[:30])
def test_what_would_overflow_the_stack_is_refused(sql: str) -> None:
    """In a process of its own: without the bounds it would take the tests with it."""
    code = (
        "import sys; from trunkline.services.kit.sql import TooDeep, dialect_of, parse\n"
        "try: parse(sys.stdin.read(), dialect_of('duckdb'))\n"
        "except TooDeep: print('refused')"
    )
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "refused\n")


@pytest.mark.parametrize("sql", ENDLESS, ids=lambda sql: sql[:30])
def test_what_would_take_hours_is_refused_at_once(sql: str) -> None:
    began = time.process_time()
    with pytest.raises(TooDeep):
        parse(sql, DUCKDB)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("sql", ["SELECT -> -> 1", "SELECT f(x -> x ->", "SELECT 1 ->> ->> a"])
def test_what_the_compiled_parser_stumbles_over_is_no_sql(sql: str) -> None:
    with pytest.raises(SqlglotError):
        parse(sql, DUCKDB)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t " + "".join(f"LEFT JOIN t AS t{n} ON t.a = t{n}.a " for n in range(200)),
        "SELECT * FROM t " + "CROSS JOIN t NATURAL JOIN u " * 50,
        "SELECT * FROM a JOIN b JOIN c ON b.x = c.x ON a.x = b.x",
        "SELECT * FROM t " + "JOIN t " * OPEN_JOINS_MAX,
        " UNION ALL ".join(["SELECT a FROM t"] * 200),
        "SELECT " + ", ".join(["a[1][2] + b[i + 1][2] - [1, 2][1]"] * 200),
        "SELECT " + "(" * 99 + "1" + ")" * 99,
        "SELECT CASE WHEN a THEN 1 ELSE 2 END" + " + 1" * 500,
    ],
    ids=lambda sql: sql[:40],
)
def test_what_people_and_their_tools_write_is_read(sql: str) -> None:
    assert len(parse(sql, DUCKDB)) == 1
