"""`trunkline apply` as a person and a script see it."""

from collections.abc import Callable
from typing import Any

import pytest

from trunkline.testing.processes import BrokerProcess

Trunkline = Callable[..., Any]


@pytest.fixture
def address(broker_factory: Callable[..., BrokerProcess]) -> str:
    return broker_factory().address


def test_an_empty_cluster_is_filled_and_a_second_time_nothing_is_done(
    trunkline: Trunkline, address: str
) -> None:
    first = trunkline("apply", "-e", "development", "-b", address, "--json")
    assert first.code == 0
    assert (first.json()["done"], first.json()["left"], first.json()["failed"]) == (14, 0, 0)
    again = trunkline("apply", "-e", "development", "-b", address)
    assert (again.code, again.out) == (0, "development: nothing to do, all is as the catalogue says\n")


def test_what_is_left_is_told_with_the_reason_and_exits_3(trunkline: Trunkline, address: str) -> None:
    trunkline("apply", "-e", "development", "-b", address)
    ran = trunkline("apply", "-e", "production", "-b", address)
    assert ran.code == 3
    assert "left    needs-rebalance" in ran.out
    assert "kafka-reassign-partitions.sh" in ran.out
    assert ran.out.splitlines()[-1].startswith("production: ")


def test_a_risk_that_there_is_not_is_refused(trunkline: Trunkline) -> None:
    ran = trunkline("apply", "-e", "production", "--allow", "anything")
    assert ran.code == 2
    assert "loses-data" in ran.err
