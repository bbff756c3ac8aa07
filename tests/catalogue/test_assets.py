"""One table has one name, however it is spelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.assets import (
    URN_LENGTH_MAX,
    TableName,
    asset_urn,
    columns_hash,
    dataset_urn,
    table_of,
    table_urn,
)

ORDERS = "urn:table:main.orders"


@pytest.mark.parametrize(
    "spelling",
    [
        "orders",
        "ORDERS",
        "main.orders",
        "jaffle_shop.main.Orders",
        '"jaffle_shop"."main"."orders"',
        "`main`.`orders`",
        "[main].[orders]",
        ORDERS,
        "urn:table:jaffle_shop.main.orders",
        "urn:table:Main.Orders",
    ],
)
def test_every_spelling_of_a_table_is_one_asset(spelling: str) -> None:
    assert asset_urn(spelling) == ORDERS


def test_a_name_of_one_part_is_looked_for_in_the_schema_given() -> None:
    assert asset_urn("lineitem", schema="tpch") == "urn:table:tpch.lineitem"


@pytest.mark.parametrize(
    ("namespace", "name", "urn"),
    [
        ("duckdb://jaffle_shop.duckdb", "jaffle_shop.main.orders", ORDERS),
        ("postgres://db:5432", "shop.public.orders", "urn:table:public.orders"),
        ("snowflake://acme", "SHOP.SALES.ORDERS", "urn:table:sales.orders"),
        ("bigquery", "project.sales.orders", "urn:table:sales.orders"),
        ("s3://lake", "raw/orders", "urn:dataset:s3://lake/raw/orders"),
        ("kafka://broker:9092", "orders.v1", "urn:dataset:kafka://broker:9092/orders.v1"),
        (
            "arn:aws:glue:eu-west-1:123",
            "table/sales/orders",
            "urn:dataset:arn:aws:glue:eu-west-1:123/table/sales/orders",
        ),
    ],
)
def test_a_dataset_of_openlineage_is_the_table_that_sql_means(namespace: str, name: str, urn: str) -> None:
    assert dataset_urn(namespace, name) == urn


def test_assets_that_are_no_tables_keep_their_name() -> None:
    assert asset_urn("urn:model:churn") == "urn:model:churn"
    assert table_of("urn:model:churn") is None


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_schema_and_table_come_back_in_lower_case_whatever_is_in_them(schema: str, table: str) -> None:
    urn = table_urn(table, schema=schema)
    assert asset_urn(urn) == urn
    if "~" not in urn:
        assert table_of(urn) == TableName(schema.lower(), table.lower())


@given(st.text(max_size=400))
def test_every_text_has_a_name_and_the_name_is_its_own(text: str) -> None:
    urn = asset_urn(text)
    assert len(urn) <= URN_LENGTH_MAX
    assert asset_urn(urn) == urn


def test_long_names_differ_after_they_are_cut() -> None:
    one, other = table_urn("t" * 600), table_urn("t" * 601)
    assert max(len(one), len(other)) <= URN_LENGTH_MAX
    assert one != other


def test_a_column_set_has_one_hash_in_any_order_and_letters() -> None:
    assert columns_hash(["id", "Amount"]) == columns_hash(["amount", "ID"])
    assert columns_hash(["id", "amount"]) != columns_hash(["id", "amount_eur"])
