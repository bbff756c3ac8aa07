from collections.abc import Callable
from typing import Any

from trunkline.testing.processes import BrokerProcess

Trunkline = Callable[..., Any]


def test_missing_topics_are_shown_then_created_then_left_alone(
    trunkline: Trunkline, broker_factory: Callable[..., BrokerProcess]
) -> None:
    servers = broker_factory().address
    assert {topic["standing"] for topic in trunkline("topics", "-b", servers, "--json").json()} == {"missing"}
    assert "missing" in trunkline("topics", "-b", servers).out
    created = trunkline("topics", "create", "-b", servers, "--json")
    assert created.code == 0
    assert {topic["standing"] for topic in created.json()} == {"created"}
    again = trunkline("topics", "create", "-b", servers)
    assert again.code == 0
    assert [line.split()[0] for line in again.out.splitlines()] == ["existing"] * 10


def test_a_topic_that_differs_from_the_contract_is_named_with_exit_code_1(
    trunkline: Trunkline, cluster: str
) -> None:
    done = trunkline("topics", "create", "--environment", "production", "-b", cluster)
    assert done.code == 1
    assert "partitions: 3, contract 6" in done.out
    assert "differ from the contract: tenant.lifecycle.events" in done.err


def test_the_table_has_a_line_for_each_topic_that_grep_can_cut(trunkline: Trunkline, cluster: str) -> None:
    rows = trunkline("topics", "-b", cluster).out.splitlines()
    assert len(rows) == 11
    (config,) = [row for row in rows if row.startswith("config.change.events")]
    assert config.split()[1:4] == ["3", "0", "config-service"]
    assert "all services" in config


def test_json_tells_publisher_consumers_and_offsets(trunkline: Trunkline, cluster: str) -> None:
    by_name = {topic["name"]: topic for topic in trunkline("topics", "-b", cluster, "--json").json()}
    billing = by_name["billing.usage.events"]
    assert (billing["publisher"], billing["consumers"]) == ("billing-service", ["notification-service"])
    assert billing["partitions"][0] == {"partition": 0, "first_offset": 0, "next_offset": 0}
