import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.growth import fence
from trunkline.client.growth.journal import KnownGrowths
from trunkline.client.growth.plan import Stage
from trunkline.client.growth.progress import Doing
from trunkline.client.kafka import Admin
from trunkline.testing.processes import BrokerProcess, CommandProcess

Trunkline = Callable[..., Any]
Growing = Callable[[Doing], CommandProcess]

TOPIC = "query.execution.events"
STEPS = [Doing.CLOSING, Doing.CLOSED, Doing.DRAINED, Doing.ADDED, Doing.SETTLED]


@pytest.fixture
def admin(broker_factory: Callable[..., BrokerProcess]) -> Admin:
    """Of a cluster of the test's own, with the contract's topics."""
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)
    ensure_topics(connection, load_catalogue(None), "development")
    return Admin(admin_config(connection))


@pytest.fixture
def growing(admin: Admin) -> Iterator[Growing]:
    """`topics grow` from 3 to 6 as a process of its own, once it has said that it has come so far."""
    running: list[CommandProcess] = []

    def start(step: Doing) -> CommandProcess:
        def has_come(line: str) -> bool:
            return bool(msgspec.json.decode(line)["doing"] == step)

        running.append(CommandProcess([*_grow(admin), "--partitions", "6", "--json"], ready=has_come))
        return running[-1]

    yield start
    for process in running:
        process.kill()


def _grow(admin: Admin) -> list[str]:
    return ["topics", "grow", TOPIC, "-b", str(admin.config["bootstrap.servers"])]


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
    # On a cluster that tests share there may be events already.
    assert (
        sum(item["next_offset"] - item["first_offset"] for item in billing["partitions"])
        == billing["records"]
    )
    assert billing["partitions"][0].keys() == {"partition", "first_offset", "next_offset"}


def test_ctrl_c_ends_a_growth_and_says_what_it_leaves_behind(admin: Admin, growing: Growing) -> None:
    process = growing(Doing.CLOSED)
    process.interrupt()
    assert process.wait() == 130
    assert process.stderr.text.splitlines() == [
        f"interrupted; {TOPIC} may be closed to publishers: run `trunkline topics grow {TOPIC} "
        "--partitions 6` again to go on, or with --abandon to open it",
        "interrupted",
    ]
    assert not fence.is_open(admin, TOPIC)


@pytest.mark.slow
def test_what_ctrl_c_leaves_behind_can_be_abandoned(
    trunkline: Trunkline, admin: Admin, growing: Growing
) -> None:
    process = growing(Doing.CLOSED)
    process.interrupt()
    process.wait()
    done = trunkline(*_grow(admin), "--abandon")
    assert done.code == 0
    assert done.out.splitlines()[-1].endswith("abandoned: open again, and as many partitions as before")
    assert fence.is_open(admin, TOPIC)
    assert admin.describe([TOPIC])[TOPIC].partitions == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_a_random_step_the_same_command_goes_on(
    trunkline: Trunkline, admin: Admin, growing: Growing, seed: int
) -> None:
    before = admin.overrides(TOPIC)
    for step in sorted(random.Random(seed).sample(STEPS, 2), key=STEPS.index):
        growing(step).kill()
    done = trunkline(*_grow(admin), "--partitions", "6")
    assert done.code == 0, done.err
    lines = [line.partition(f"{TOPIC}: ")[2] for line in done.out.splitlines()]
    assert lines[0] == "going on with what an earlier run began"
    assert lines[-1] == "grown from 3 to 6 partitions"
    assert admin.describe([TOPIC])[TOPIC].partitions == 6
    assert admin.overrides(TOPIC) == before
    (growth,) = KnownGrowths().refreshed(admin)
    assert growth.stage is Stage.RELEASED
