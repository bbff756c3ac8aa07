import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import confluent_kafka
import msgspec

from trunkline.testing.processes import TRUNKLINE

Trunkline = Callable[..., Any]


def test_lag_is_told_by_group_topic_and_partition(trunkline: Trunkline, fresh_cluster: str) -> None:
    assert trunkline("lag", "-b", fresh_cluster, "--json").json() == []
    assert "no group has consumed anything yet" in trunkline("lag", "-b", fresh_cluster).err
    producer = confluent_kafka.Producer({"bootstrap.servers": fresh_cluster})
    for _ in range(10):
        producer.produce("pipeline.job.events", b"x", partition=1, timestamp=int(time.time() - 600) * 1000)
    assert producer.flush(10) == 0
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": fresh_cluster, "group.id": "notification-service"}
    )
    consumer.commit(offsets=[confluent_kafka.TopicPartition("pipeline.job.events", 1, 4)], asynchronous=False)
    consumer.close()

    rows = trunkline("lag", "-b", fresh_cluster, "--json").json()
    (row,) = [row for row in rows if (row["topic"], row["partition"]) == ("pipeline.job.events", 1)]
    assert 600 <= row.pop("seconds") < 660
    assert row == {
        "group": "notification-service",
        "topic": "pipeline.job.events",
        "partition": 1,
        "committed": 4,
        "end": 10,
        "lag": 6,
    }
    table = [line.split() for line in trunkline("lag", "-b", fresh_cluster).out.splitlines()]
    (line,) = [words for words in table if words[:2] == ["notification-service", "pipeline.job.events"]]
    assert line[2:4] == ["3", "6"]
    assert 10.0 <= float(line[4]) < 11.0
    assert line[5] == "min"
    assert table[-1][:5] == ["notification-service", "all", "topics", "12", "6"]


def test_a_group_that_never_consumed_is_behind_by_everything(
    trunkline: Trunkline, fresh_cluster: str
) -> None:
    rows = trunkline("lag", "--group", "audit-service", "-b", fresh_cluster, "--json").json()
    assert {row["committed"] for row in rows} == {None}
    assert len({row["topic"] for row in rows}) == 7


def test_an_unknown_group_has_consumed_nothing(trunkline: Trunkline, fresh_cluster: str) -> None:
    assert "nobody has consumed nothing" in trunkline("lag", "--group", "nobody", "-b", fresh_cluster).err


def test_watching_shows_it_again_until_it_is_told_to_stop(fresh_cluster: str) -> None:
    command = [*TRUNKLINE, "lag", "-g", "billing-service", "--watch", "--json", "-b", fresh_cluster]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first, second = (msgspec.json.decode(process.stdout.readline()) for _ in range(2))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert {row["group"] for row in first} == {row["group"] for row in second} == {"billing-service"}
