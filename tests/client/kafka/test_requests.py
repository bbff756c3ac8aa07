"""`trunkline.client.kafka.Admin` while a group's coordinator is away: it says so, and the process lives on.

In a process of its own, because what went wrong before was an abort inside the library.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.torture.engines import EmbeddedEngine
from trunkline.testing.torture.schedule import Kind

AWAY_SECONDS = 5.5
"""Longer than the time-out of a request."""

ASKING = """
import sys, threading
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.errors import Unavailable

def ask():
    admin = Admin(admin_config(ConnectionOptions(bootstrap_servers=sys.argv[1])))
    while not sys.stdin.closed:
        for request in (admin.assigned_topics, admin.committed):
            try:
                request("torture")
            except Unavailable:
                pass

for _ in range(8):
    threading.Thread(target=ask, daemon=True).start()
print("asking", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_requests_that_wait_for_a_coordinator_do_not_end_the_process(tmp_path: Path) -> None:
    with (
        closing(EmbeddedEngine(tmp_path)) as engine,
        subprocess.Popen(
            [sys.executable, "-c", ASKING, engine.bootstrap_servers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "asking\n"
        for _ in range(2):
            time.sleep(1)
            engine.strike(Kind.CUT_BROKER, 0)
            time.sleep(AWAY_SECONDS)
            engine.relieve(Kind.CUT_BROKER, 0)
        time.sleep(1)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == 0


FIRST_ASKED = """
import sys
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin

admin = Admin(admin_config(ConnectionOptions(bootstrap_servers=sys.argv[1])))
print(admin.committed("nobody"))
"""


@pytest.mark.kafka
def test_the_first_request_for_a_groups_offsets_waits_until_there_is_a_coordinator(
    kafka_factory: Callable[..., KafkaCluster],
) -> None:
    cluster = kafka_factory()
    command = [sys.executable, "-c", FIRST_ASKED, cluster.connection().bootstrap_servers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "{}\n"), done.stderr
