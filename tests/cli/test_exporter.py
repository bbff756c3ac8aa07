"""`trunkline exporter` as a process that Prometheus scrapes."""

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

from trunkline.testing.processes import TRUNKLINE, CommandProcess


def test_the_metrics_are_served_until_it_is_told_to_stop(cluster: str) -> None:
    command = [*TRUNKLINE, "exporter", "--port", "0", "--json", "-b", cluster]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["bootstrap_servers"] == cluster
        with urllib.request.urlopen(said["url"], timeout=20) as answer:
            text = answer.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "\nkafka_brokers 1.0\n" in text
    assert 'kafka_topic_partitions{topic="ai.agent.events"} 3.0' in text


def test_a_port_that_is_taken_is_said_with_what_to_choose(
    trunkline: Callable[..., Any], cluster: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = trunkline("exporter", "--port", str(taken.getsockname()[1]), "-b", cluster)
    assert ran.code != 0
    assert "choose another --host or --port" in ran.err


def test_a_cluster_that_does_not_answer_is_warned_of_at_the_start_and_waited_for() -> None:
    with CommandProcess(["exporter", "--port", "0", "--json", "-b", "127.0.0.1:1"]) as process:
        assert process.stdout.wait_line(lambda line: "url" in line, timeout_s=20)
        warning = process.stderr.wait_line(lambda line: "cannot look at the cluster" in line, timeout_s=20)
        assert warning is not None
        assert "no Kafka broker answers at 127.0.0.1:1" in json.loads(warning)["error"]
        assert process.running
        assert process.terminate(timeout_s=20) == 0
