"""A publisher that sleeps through a whole growth, with events in its hands, and then goes on."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.growth.grow import Grower
from trunkline.client.kafka import Admin, partition_of
from trunkline.client.reader import TopicReader
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, Output

TOPIC = "query.execution.events"
BEFORE, AFTER = 3, 6

PUBLISHES_UNTIL_TOLD = """
import sys, threading
from collections import deque
import msgspec
from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher

declaration = EVENT_TYPES["query.completed.v1"]
event = msgspec.convert(dict(declaration.example), declaration.cls)
connection = ConnectionOptions(bootstrap_servers=sys.argv[1])
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
with Publisher(service="query-engine", connection=connection, catalogue=load_catalogue(None)) as publisher:
    number, unresolved = 0, deque()
    while not told.is_set():
        for tenant in range(300):
            unresolved.append(publisher.publish(event, tenant=f"tenant-{tenant}", id=str(number)))
        number += 1
        while len(unresolved) > 3000:
            unresolved.popleft().result(60)
        print("publishes", flush=True)
    print("unresolved", publisher.flush(60), flush=True)
"""

pytestmark = pytest.mark.slow


@contextmanager
def publishing(address: str) -> Iterator["tuple[subprocess.Popen[str], Output]"]:
    """A process that publishes to 300 tenants until it is told to end."""
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISHES_UNTIL_TOLD, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Output(process.stdout)
        finally:
            process.kill()


def test_what_it_held_is_sent_again_where_its_tenant_is_now(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, load_catalogue(None), "development")
        admin = Admin(admin_config(connection))

        def ends() -> dict[int, int]:
            bounds = admin.offsets([(TOPIC, number) for number in range(BEFORE)])
            return {number: end for (_, number), (_, end) in bounds.items()}

        with publishing(broker.address) as (publisher, output):
            eventually(lambda: output.text.count("publishes") > 20)
            broker.pause()
            # It goes on until it waits for the broker, with events in the library's hands.
            eventually(lambda: publisher_waits(output))
            os.kill(publisher.pid, signal.SIGSTOP)
            broker.resume()
            Grower(connection).grow(TOPIC, AFTER)
            barriers = ends()
            os.kill(publisher.pid, signal.SIGCONT)
            assert publisher.stdin is not None
            publisher.stdin.write("enough\n")
            publisher.stdin.flush()
            assert (
                output.wait_line(lambda line: line.startswith("unresolved"), timeout_s=60) == "unresolved 0"
            )
        before: defaultdict[bytes, list[int]] = defaultdict(list)
        moved, behind = before.copy(), before.copy()
        with TopicReader(connection, TOPIC) as reader:
            for record in reader.existing():
                assert record.key is not None
                stays = partition_of(record.key, AFTER) == record.partition
                late = record.partition < BEFORE and record.offset >= barriers[record.partition]
                part = before if record.partition < BEFORE and not late else moved if stays else behind
                part[record.key].append(int(dict(record.headers or ())["ce_id"] or b""))
    assert behind, "nothing was appended by the old number of partitions; this test has shown nothing"
    for tenant, late_numbers in behind.items():
        # Consumers may come to the new partition first, and process an event once.
        numbers = list(dict.fromkeys([*before[tenant], *moved[tenant], *late_numbers]))
        assert numbers == sorted(numbers)


def publisher_waits(output: Output) -> bool:
    """Whether it has published nothing for a moment."""
    seen = output.text
    return not output.wait_line(lambda line: line == "never", timeout_s=0.3) and output.text == seen
