"""What statements take for granted."""

import pytest

from trunkline.services.quality import derive
from trunkline.services.quality.derive import Candidate, Unreadable, candidates


def kinds(sql: str) -> set[tuple[str, str, str]]:
    return {(one.kind, one.table, one.column) for one in candidates(sql, "duckdb")}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1 FROM orders WHERE id IS NOT NULL", {("not_null", "orders", "id")}),
        ("SELECT 1 FROM s.orders o WHERE o.x IN ('a', 'b')", {("accepted_values", "orders", "x")}),
        ("SELECT CAST(x AS INTEGER) FROM orders", {("castable", "orders", "x")}),
        ("SELECT x FROM orders WHERE x NOT IN ('a', 'b')", set()),
        ("SELECT x FROM orders WHERE x IN (SELECT y FROM t)", set()),
        ("SELECT x FROM orders WHERE x IS NULL", set()),
        ("SELECT 1 FROM a, b WHERE x IS NOT NULL", set()),
        ("WITH o AS (SELECT * FROM orders) SELECT 1 FROM o WHERE o.id IS NOT NULL", set()),
        ("SELECT 1", set()),
    ],
)
def test_what_is_certain_is_a_candidate(sql: str, found: set[tuple[str, str, str]]) -> None:
    assert kinds(sql) == found


def test_a_join_says_which_side_is_a_key_by_its_name() -> None:
    found = candidates("SELECT 1 FROM orders o JOIN customers c ON o.customer_id = c.customer_id", "duckdb")
    assert {(one.kind, one.table) for one in found} == {("unique", "customers"), ("references", "orders")}


def test_tpch_joins_find_its_keys_and_nothing_else() -> None:
    joins = [
        ("lineitem", "l_orderkey", "orders", "o_orderkey"),
        ("orders", "o_custkey", "customer", "c_custkey"),
        ("customer", "c_nationkey", "nation", "n_nationkey"),
        ("nation", "n_regionkey", "region", "r_regionkey"),
        ("supplier", "s_nationkey", "nation", "n_nationkey"),
        ("partsupp", "ps_suppkey", "supplier", "s_suppkey"),
        ("partsupp", "ps_partkey", "part", "p_partkey"),
    ]
    found = {
        (one.table, one.column)
        for left, a, right, b in joins
        for one in candidates(f"SELECT 1 FROM {left} x JOIN {right} y ON x.{a} = y.{b}", "duckdb")
        if one.kind == "unique"
    }
    assert found == {
        ("orders", "o_orderkey"),
        ("customer", "c_custkey"),
        ("nation", "n_nationkey"),
        ("region", "r_regionkey"),
        ("supplier", "s_suppkey"),
        ("part", "p_partkey"),
    }


def test_a_join_over_several_columns_says_nothing_of_one() -> None:
    both = "l.l_partkey = p.ps_partkey AND l.l_suppkey = p.ps_suppkey"
    assert candidates(f"SELECT 1 FROM lineitem l JOIN partsupp p ON {both}", "duckdb") == ()


def test_no_literal_is_kept() -> None:
    sql = "SELECT 1 FROM people p WHERE p.email IN ('ada@example.org', 'b@example.org') AND p.age = 36"
    assert candidates(sql, "duckdb") == (Candidate("accepted_values", "", "people", "email"),)


@pytest.mark.parametrize("sql", ["SELECT ((((", "'", "SELECT FROM WHERE ("])
def test_what_cannot_be_read_is_told_so_and_nothing_else_happens(sql: str) -> None:
    with pytest.raises(Unreadable, match="Error"):
        candidates(sql, "other")


def test_statements_that_are_too_long_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derive, "SQL_LENGTH_MAX", 10)
    with pytest.raises(Unreadable, match="longer than 10"):
        candidates("SELECT 1 FROM t", "duckdb")


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM t " + "JOIN t " * 60, "FROM " * 3_900 + "t", "SELECT -> -> 1"]
)
def test_what_would_take_the_parser_hours_or_its_stack_is_unreadable(sql: str) -> None:
    with pytest.raises(Unreadable):
        candidates(sql, "duckdb")
