"""What a scope covers, in one written form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.assets import table_urn
from trunkline.errors import InvalidInput
from trunkline.services.policies.policy import Scope, asset_key, scope_of, table_covering, written


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("*", Scope("all")),
        ("urn:tag:pii", Scope("tag", tag="pii")),
        ("urn:schema:Sales", Scope("schema", schema="sales")),
        ("urn:table:Sales.Orders", Scope("table", "sales", "orders")),
        ("urn:column:sales.orders.Total", Scope("column", "sales", "orders", "total")),
        ("urn:table:my%20schema.a%2Eb", Scope("table", "my schema", "a.b")),
    ],
)
def test_a_scope_is_read(text: str, scope: Scope) -> None:
    assert scope_of(text) == scope
    assert scope_of(written(scope)) == scope


@pytest.mark.parametrize(
    "text",
    ["", "orders", "urn:table:orders", "urn:table:a.b.c", "urn:column:a.b", "urn:model:churn", "urn:tag:"],
)
def test_what_is_no_scope_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"urn:table:SCHEMA\.TABLE"):
        scope_of(text)


@given(schema=st.text(min_size=1, max_size=10), table=st.text(min_size=1, max_size=10))
def test_any_table_can_be_covered_under_the_name_that_assets_have(schema: str, table: str) -> None:
    if "\0" in schema + table:
        return
    urn = table_urn(table, schema=schema)
    found = scope_of(urn)
    assert (found.schema, found.table) == (schema.lower(), table.lower())
    assert table_covering(urn) == written(found)


def test_a_scope_covers_tables() -> None:
    assert scope_of("*").has_table("a", "b")
    assert scope_of("urn:schema:a").has_table("a", "b")
    assert not scope_of("urn:schema:x").has_table("a", "b")
    assert scope_of("urn:column:a.b.c").has_table("a", "b")
    assert scope_of("urn:tag:pii").has_table("a", "b", frozenset({"pii"}))
    assert not scope_of("urn:tag:pii").has_table("a", "b")


def test_a_column_is_covered_by_its_table_and_a_model_by_none() -> None:
    assert table_covering("urn:column:a.b.c") == "urn:table:a.b"
    assert table_covering("urn:model:churn") is None


@pytest.mark.parametrize(
    ("urn", "key"),
    [
        ("urn:table:HR.Salary", "urn:table:hr.salary"),
        ("urn:table:hr.salary%20of%202026", "urn:table:hr.salary%20of%202026"),
        ("urn:column:HR.Salary.Home Phone", "urn:column:hr.salary.home%20phone"),
        ("urn:column:hr.salary.home%20phone", "urn:column:hr.salary.home%20phone"),
        ("urn:column:hr.salary", "urn:column:hr.salary"),
        ("urn:model:Churn", "urn:model:Churn"),
    ],
)
def test_an_asset_has_one_key_however_it_is_spelled(urn: str, key: str) -> None:
    assert asset_key(urn) == key == asset_key(key)
