"""`trunkline tenants`: who sits where, how evenly, and what a growth would change, as table and as JSON."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.config import ConnectionOptions
from trunkline.client.kafka import partition_of
from trunkline.client.publisher import Publisher

TOPIC: Final = "query.execution.events"
LOADS: Final = {"acme": 30, "globex": 10, "initech": 5, "umbrella": 5}

Trunkline = Callable[..., Any]


@pytest.fixture(scope="module")
def servers(fresh_cluster: str) -> str:
    """A cluster whose topic holds just these loads, over three partitions."""
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    connection = ConnectionOptions(bootstrap_servers=fresh_cluster)
    with Publisher(
        service="query-engine", connection=connection, catalogue=load_catalogue(None)
    ) as publisher:
        sent = [publisher.publish(event, tenant=name) for name, load in LOADS.items() for _ in range(load)]
    for delivery in sent:
        delivery.result(0)
    return fresh_cluster


def place(tenant: str, partitions: int = 3) -> int:
    return partition_of(tenant.encode(), partitions)


def by_partition(partitions: int) -> list[int]:
    loads = [0] * partitions
    for tenant, load in LOADS.items():
        loads[place(tenant, partitions)] += load
    return loads


def test_json_has_every_tenant_and_partition_and_what_growth_would_change(
    trunkline: Trunkline, servers: str
) -> None:
    found = trunkline("tenants", TOPIC, "--growth", "6", "-b", servers, "--json").json()
    assert (found["topic"], found["complete"], found["growth"]) == (TOPIC, True, 6)
    assert [(load["partition"], load["records"], load["sampled"]) for load in found["partitions"]] == [
        (number, load, load) for number, load in enumerate(by_partition(3))
    ]
    assert {
        tenant["tenant"]: (tenant["records"], tenant["share"], tenant["partition"], tenant["moves_to"])
        for tenant in found["tenants"]
    } == {
        tenant: (load, load / 50, place(tenant), place(tenant, 6) if place(tenant, 6) > 2 else None)
        for tenant, load in LOADS.items()
    }
    assert found["skew"] == round(max(by_partition(3)) * 3 / 50, 2)
    assert found["skew_after"] == round(max(by_partition(6)) * 6 / 50, 2)
    assert found["moving"] == sum(place(tenant, 6) > 2 for tenant in LOADS)


def test_the_tables_say_the_same_to_a_person(trunkline: Trunkline, servers: str) -> None:
    done = trunkline("tenants", TOPIC, "--growth", "6", "-b", servers)
    assert done.code == 0
    partitions, _, rest = done.out.partition("\n\n")
    assert [row.split()[:2] for row in partitions.splitlines()] == [
        ["partition", "records"],
        *([str(number), str(load)] for number, load in enumerate(by_partition(3))),
    ]
    heading, first, *others = rest.splitlines()
    assert heading.split() == ["tenant", "records", "share", "partition", "after"]
    acme = ["acme", "30", "60.0%", str(place("acme"))]
    assert first.split() == acme + (["moves", "to", str(place("acme", 6))] if place("acme", 6) > 2 else [])
    assert [row.split()[0] for row in others[:3]] == ["globex", "initech", "umbrella"]
    skew, after = max(by_partition(3)) * 3 / 50, max(by_partition(6)) * 6 / 50
    moving = sum(place(tenant, 6) > 2 for tenant in LOADS)
    assert others[3:] == [
        f"4 tenants, skew {skew:.2f}; all records read",
        f"with 6 partitions: {moving} tenant{'' if moving == 1 else 's'} would move, skew {after:.2f}",
    ]


def test_without_a_growth_nothing_is_said_about_one(trunkline: Trunkline, servers: str) -> None:
    out = trunkline("tenants", TOPIC, "-b", servers).out
    assert "moves to" not in out
    assert "would move" not in out


def test_a_tenant_is_found_in_every_topic(trunkline: Trunkline, servers: str) -> None:
    found = trunkline("tenants", "--tenant", "acme", "-b", servers, "--json").json()
    assert found["tenant"] == "acme"
    assert len(found["partitions"]) == 10
    assert found["partitions"][TOPIC] == place("acme")
    rows = [row.split() for row in trunkline("tenants", "-t", "acme", "-b", servers).out.splitlines()]
    assert rows[0] == ["topic", "partition"]
    assert {topic: int(partition) for topic, partition in rows[1:]} == found["partitions"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a topic, or --tenant"),
        ((TOPIC, "--tenant", "acme"), "give a topic, or --tenant"),
        (("--tenant", "no such"), "--tenant 'no such': use up to 64 letters"),
        (("--tenant", "acme", "--growth", "6"), "--growth and --all are for a topic"),
        ((TOPIC, "--growth", "7"), "give --partitions 6 or 9"),
        (("no.such.topic",), "no topic no.such.topic"),
    ],
)
def test_what_cannot_be_told_is_refused(
    trunkline: Trunkline, servers: str, arguments: tuple[str, ...], message: str
) -> None:
    done = trunkline("tenants", *arguments, "-b", servers)
    assert done.code == 2
    assert message in done.err
