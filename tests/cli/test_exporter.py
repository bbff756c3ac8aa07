"""`trunkline exporter` as a process that Prometheus scrapes."""

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

from trunkline.testing.processes import TRUNKLINE


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
