"""Assertions become checks, each result once a run."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events.quality import QualityCheckFailed, QualityCheckPassed
from trunkline.catalogue.names import TenantId
from trunkline.codec import encode_checked, new_envelope
from trunkline.codec.openlineage.checks import Result, check_results, dimension_of
from trunkline.codec.openlineage.run_event import decode_run_event
from trunkline.testing.lineage import BEGIN, assertion, checked, run_event, run_of_tests


def results(content: bytes) -> list[Result]:
    return check_results(decode_run_event(content))


def test_an_assertion_that_holds_is_a_check_passed() -> None:
    [found] = results(run_of_tests(assertion("not_null")))
    assert isinstance(found.event, QualityCheckPassed)
    assert (found.event.asset, found.event.dimension) == ("urn:table:main.orders", "completeness")
    assert found.event.rows_checked == 99


def test_one_that_does_not_is_a_check_failed_with_its_rows() -> None:
    [found] = results(run_of_tests(assertion("not_null", success=False, actual="12", expected="0")))
    assert isinstance(found.event, QualityCheckFailed)
    assert (found.event.rows_failed, found.event.severity) == (12, "error")
    assert found.event.message == "not_null of order_id: 12 found, 0 expected"


@pytest.mark.parametrize(
    ("given_one", "severity"),
    [
        ("warn", "warning"),
        ("error", "error"),
        ("Critical", "critical"),
        ("blocker", "critical"),
        (None, "error"),
    ],
)
def test_severity_is_the_assertions_own_else_error(given_one: str | None, severity: str) -> None:
    [found] = results(run_of_tests(assertion("unique", success=False, severity=given_one)))
    assert isinstance(found.event, QualityCheckFailed)
    assert found.event.severity == severity


def test_a_result_counts_once_though_producers_repeat_it() -> None:
    one = assertion("unique")
    twice = checked("jaffle_shop.main.orders", one)
    twice["facets"] = twice["inputFacets"]
    ended = run_event("COMPLETE", inputs=[twice, twice])
    begun = msgspec.json.encode(ended | {"eventType": "START"})
    assert results(begun) == []
    assert len(results(msgspec.json.encode(ended))) == 1


def test_a_check_keeps_its_id_from_run_to_run_and_a_result_has_its_own() -> None:
    [first], [second] = (results(run_of_tests(assertion("unique"), run=run)) for run in ("r1", "r2"))
    assert first.event.check_id == second.event.check_id
    assert first.id != second.id


def test_columns_assertions_and_datasets_tell_checks_apart() -> None:
    found = results(
        run_of_tests(assertion("unique"), assertion("unique", column="id"), assertion("not_null"))
    )
    found += results(run_of_tests(assertion("unique"), table="other"))
    assert len({one.event.check_id for one in found}) == 4


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("not_null", "completeness"),
        ("expect_column_values_to_not_be_null", "completeness"),
        ("missing_count", "completeness"),
        ("unique", "uniqueness"),
        ("duplicate_count", "uniqueness"),
        ("relationships", "consistency"),
        ("freshness", "freshness"),
        ("expect_table_row_count_to_be_between", "volume"),
        ("rowCount", "volume"),
        ("schema", "schema"),
        ("accepted_values", "validity"),
        ("expect_column_values_to_be_in_set", "validity"),
    ],
)
def test_the_name_of_an_assertion_tells_its_dimension(name: str, dimension: str) -> None:
    assert dimension_of(name) == dimension


def test_an_assertion_that_cannot_be_read_does_not_cost_the_others() -> None:
    assert len(results(run_of_tests({"assertion": 7}, assertion("unique")))) == 1


@given(
    st.dictionaries(
        st.sampled_from(["assertions", "rowCount"]), st.integers() | st.text() | st.lists(st.none())
    )
)
def test_a_facet_of_any_shape_is_survived_and_what_comes_of_it_is_valid(facet: dict[str, Any]) -> None:
    inputs = [{"namespace": "duckdb", "name": "t", "inputFacets": {"dataQualityAssertions": facet}}]
    content = msgspec.json.encode(run_event("COMPLETE", inputs=inputs))
    for found in results(content):
        encode_checked(new_envelope(found.event, tenant=TenantId("acme"), source="/tests", time=BEGIN))
