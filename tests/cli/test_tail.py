import json
import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.testing.processes import CommandProcess

Trunkline = Callable[..., Any]
TOPIC = "query.execution.events"


@pytest.fixture(scope="module")
def filled(fresh_cluster: str) -> str:
    """Twenty events of each of three tenants, and a record that is no event."""
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    connection = ConnectionOptions(bootstrap_servers=fresh_cluster)
    with Publisher(
        service="query-engine", connection=connection, catalogue=load_catalogue(None)
    ) as publisher:
        for number in range(20):
            for tenant in ("acme", "beta", "gamma"):
                publisher.publish(event, tenant=tenant, id=f"{tenant}-{number}", subject="s")
    garbage = confluent_kafka.Producer({"bootstrap.servers": fresh_cluster})
    garbage.produce(TOPIC, b"\xff garbage", "delta", headers=[("ce_id", b"1")])
    assert garbage.flush(10) == 0
    return fresh_cluster


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_without_options_the_last_ten_are_shown(trunkline: Trunkline, filled: str) -> None:
    done = trunkline("tail", TOPIC, "-b", filled)
    assert done.code == 0
    assert len(done.out.splitlines()) == 10
    last = done.out.splitlines()[-1]
    assert "not an event (missing_header)" in last
    assert "delta" in last


def test_everything_can_be_read_from_the_beginning(trunkline: Trunkline, filled: str) -> None:
    shown = lines(trunkline("tail", TOPIC, "-b", filled, "--from-beginning", "--json").out)
    assert len(shown) == 61
    acme = [line["id"] for line in shown if line["tenant"] == "acme"]
    assert acme == [f"acme-{number}" for number in range(20)]
    (garbage,) = [line for line in shown if "reason" in line]
    assert (garbage["reason"], garbage["tenant"]) == ("missing_header", "delta")


def test_one_tenants_events_are_its_own_and_the_newest_are_counted_from_the_end(
    trunkline: Trunkline, filled: str
) -> None:
    shown = lines(trunkline("tail", TOPIC, "-b", filled, "--tenant", "beta", "--count", "3", "--json").out)
    assert [line["id"] for line in shown] == ["beta-17", "beta-18", "beta-19"]
    first = trunkline("tail", TOPIC, "-b", filled, "-t", "beta", "-n", "2", "--from-beginning", "--json")
    assert [line["id"] for line in lines(first.out)] == ["beta-0", "beta-1"]


def test_a_line_shows_time_tenant_type_position_and_data(trunkline: Trunkline, filled: str) -> None:
    line = trunkline("tail", TOPIC, "-b", filled, "-t", "acme", "-n", "1").out
    moment, tenant, kind, position, data = line.split(maxsplit=4)
    assert (tenant, kind) == ("acme", "query.completed.v1")
    assert moment.endswith("Z")
    assert "@" in position
    assert json.loads(data)["query_id"]


def test_following_goes_on_with_new_events_until_it_is_stopped(filled: str, query_json: str) -> None:
    arguments = ["tail", "ml.model.events", "-b", filled, "--follow", "--json"]
    with CommandProcess(arguments) as tailing:
        produced = threading.Event()

        def produce() -> None:
            producer = confluent_kafka.Producer({"bootstrap.servers": filled})
            while not produced.wait(0.2):
                producer.produce("ml.model.events", b"{}", "acme")
                producer.flush(5)

        thread = threading.Thread(target=produce)
        thread.start()
        assert tailing.stdout.wait_line(lambda line: '"topic":"ml.model.events"' in line, timeout_s=20)
        produced.set()
        thread.join()
        assert tailing.terminate() == 0


def test_an_unknown_topic_is_refused(trunkline: Trunkline, fresh_cluster: str) -> None:
    done = trunkline("tail", "nowhere.at.all", "-b", fresh_cluster)
    assert done.code == 2
    assert "no topic nowhere.at.all" in done.err
