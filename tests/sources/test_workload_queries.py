"""Queries are really executed, and measured by the engine."""

import hashlib
import sys

import pytest

from trunkline.errors import InvalidInput
from trunkline.sources.workload import MeasuredQuery, measure_queries
from trunkline.sources.workload.queries import FAULTY

TPCH_QUERIES = 22


@pytest.fixture(scope="module")
def measured() -> tuple[MeasuredQuery, ...]:
    pytest.importorskip("duckdb")
    return measure_queries(rounds=1)


def test_all_22_queries_of_tpch_run_and_are_measured(measured: tuple[MeasuredQuery, ...]) -> None:
    ran = [query for query in measured if query.error is None]
    assert len(ran) == TPCH_QUERIES
    for query in ran:
        assert query.duration_us > 0
        assert query.rows_scanned > 0
        assert query.bytes_scanned > query.rows_scanned
        assert query.tables
        assert query.fingerprint == hashlib.sha256(query.sql.encode()).hexdigest()


def test_results_are_those_of_the_benchmark(measured: tuple[MeasuredQuery, ...]) -> None:
    """At scale factor 0.01, query 1 groups 60,175 line items into 4 rows; query 3 returns ten orders."""
    first, third = measured[0], measured[2]
    assert (first.rows_returned, first.rows_scanned) == (4, 60_175)
    assert first.bytes_scanned % 60_175 == 0
    assert first.tables == ("urn:table:tpch.lineitem",)
    assert third.rows_returned == 10


def test_faulty_statements_end_in_the_engines_own_error(measured: tuple[MeasuredQuery, ...]) -> None:
    failed = [query for query in measured if query.error is not None]
    assert [query.sql for query in failed] == list(FAULTY)
    assert {query.error_code for query in failed} == {
        "catalog_error",
        "binder_error",
        "conversion_error",
        "parser_error",
    }
    assert all("\n" not in (query.error or "") for query in failed)


@pytest.mark.parametrize("missing", ["duckdb", "duckdb_extension_tpch"])
def test_without_the_extra_the_error_names_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InvalidInput, match=r"trunkline\[query\]"):
        measure_queries(rounds=1)
