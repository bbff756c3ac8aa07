"""kcat 1.7, which brings a librdkafka of 2022."""

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from trunkline.broker.protocol.batch import BatchHeader
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.wire import WireClient

KCAT = shutil.which("kcat") or ""
SNAPPY = 2

pytestmark = pytest.mark.skipif(not KCAT, reason="kcat is not installed (apt-get install kcat)")

MakeTopic = Callable[..., str]


def kcat(broker: BrokerProcess, *arguments: str, lines: str = "") -> str:
    """What kcat prints; it must succeed."""
    done = subprocess.run(
        [KCAT, "-b", broker.address, *arguments],
        input=lines,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_topics_are_listed(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic(3)
    listed = json.loads(kcat(broker, "-L", "-J", "-t", topic))
    assert [entry["topic"] for entry in listed["topics"]] == [topic]
    assert [part["leader"] for part in listed["topics"][0]["partitions"]] == [1, 1, 1]


def test_records_with_key_and_headers_come_back(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    kcat(
        broker, "-P", "-t", topic, "-K", ":", "-H", "ce_id=1", "-H", "ce_type=t", lines="acme:one\nacme:two\n"
    )
    printed = kcat(broker, "-C", "-t", topic, "-e", "-q", "-f", "%o %k %s %h\n")
    assert printed == "0 acme one ce_id=1,ce_type=t\n1 acme two ce_id=1,ce_type=t\n"


def test_a_group_reads_and_goes_on_where_it_stopped(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    read = ("-G", f"{topic}.group", "-X", "auto.offset.reset=earliest", "-e", "-q", topic)
    kcat(broker, "-P", "-t", topic, lines="one\ntwo\n")
    assert kcat(broker, *read) == "one\ntwo\n"
    kcat(broker, "-P", "-t", topic, lines="three\n")
    assert kcat(broker, *read) == "three\n"


def test_offsets_are_queried_by_time(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    kcat(broker, "-P", "-t", topic, lines="one\ntwo\n")
    assert kcat(broker, "-Q", "-t", f"{topic}:0:-1").split() == [topic, "[0]", "offset", "2"]
    assert kcat(broker, "-Q", "-t", f"{topic}:0:1000").split() == [topic, "[0]", "offset", "0"]


def test_an_old_librdkafka_keeps_its_compression(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    """KAFKA-18659: it turns snappy off without a word unless the broker lists Produce version 0."""
    topic = make_topic()
    kcat(broker, "-P", "-t", topic, "-z", "snappy", lines="".join(f"{'x' * 100}\n" for _ in range(50)))
    with WireClient(broker.address) as client:
        records = client.fetch(topic, 0).records
    assert records is not None
    assert BatchHeader.parse(records).codec == SNAPPY
