"""Sizes in Kubernetes' and the JVM's notation."""

from decimal import Decimal

import pytest

from trunkline.catalogue.quantity import amount, cpus, heap_bytes, size_bytes


@pytest.mark.parametrize(
    ("text", "amount"), [("2", "2"), ("500m", "0.5"), ("0.25", "0.25"), ("1500m", "1.5"), ("1.125", "1.125")]
)
def test_cpus_are_cores_or_thousandths(text: str, amount: str) -> None:
    assert cpus(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "0", "0m", "-1", "2Gi", "1k", "two", "1.2345", ".5", "1 ", "1e3", "٢"])
def test_what_is_no_amount_of_cpus(text: str) -> None:
    assert cpus(text) is None


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1Ki", 1024), ("8Gi", 8 * 2**30), ("1.5Gi", 3 * 2**29), ("5G", 5 * 10**9), ("10k", 10_000), ("7", 7)],
)
def test_sizes_are_decimal_or_binary(text: str, amount: int) -> None:
    assert size_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "0Gi", "8GB", "8gi", "8 Gi", "500m", "K", "-1Gi", "1Ki1"])
def test_what_is_no_size(text: str) -> None:
    assert size_bytes(text) is None


@pytest.mark.parametrize(
    ("text", "amount"), [("512m", 512 * 2**20), ("2g", 2 * 2**30), ("3G", 3 * 2**30), ("1M", 2**20)]
)
def test_heaps_are_binary_whatever_the_case(text: str, amount: int) -> None:
    assert heap_bytes(text) == amount


@pytest.mark.parametrize(("text", "number"), [("8", "8"), ("1.5Gi", "1.5"), ("500m", "500")])
def test_an_amount_is_the_number_as_it_is_written(text: str, number: str) -> None:
    assert amount(text) == number


def test_no_number_is_no_amount() -> None:
    with pytest.raises(ValueError, match="'Gi' does not begin with a number"):
        amount("Gi")


@pytest.mark.parametrize("text", ["", "2Gi", "2", "0g", "1.5g", "-1g"])
def test_what_the_jvm_does_not_take(text: str) -> None:
    assert heap_bytes(text) is None
