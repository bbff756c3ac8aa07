"""The data directory belongs to one broker and keeps its identity, its topics and their records."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trunkline.broker.identity import PRODUCER_ID_BLOCK
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.fs import FsError, OsFs
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.protocol.batch import split
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.records import records
from trunkline.broker.storage import Storage
from trunkline.errors import InvalidInput, Unavailable
from trunkline.testing.log_desk import NOW_MS, make_batch

DATA_DIR = Path("/data")
TOPIC = "tenant.lifecycle.events"


@pytest.fixture
def fs() -> MemoryFs:
    return MemoryFs()


def opened(fs: MemoryFs) -> Storage:
    return Storage.open(fs, DATA_DIR, now_ms=NOW_MS)


def store(log: PartitionLog, *values: bytes) -> None:
    for value in values:
        log.append(make_batch(value), now_ms=NOW_MS)
    log.advance(log.sync())


def values(log: PartitionLog) -> list[bytes | None]:
    found: list[bytes | None] = []
    offset = log.log_start_offset
    while data := log.read(offset, 2**20):
        for header, start, end in split(data):
            found += [record.value for record in records(data[start:end])]
            offset = header.next_offset
    return found


def refusal(action: Callable[[], object]) -> ErrorCode:
    with pytest.raises(TopicRefused) as raised:
        action()
    return raised.value.error


def test_topics_and_records_are_there_after_a_restart(fs: MemoryFs) -> None:
    storage = opened(fs)
    created = storage.create_topic(TOPIC, partitions=3, now_ms=NOW_MS, configs={"retention.ms": "5000"})
    store(created.partitions[1], b"a", b"b")
    storage.close()
    again = opened(fs)
    topic = again.topics[TOPIC]
    assert (topic.id, topic.configs, len(topic.partitions)) == (created.id, {"retention.ms": "5000"}, 3)
    assert again.topics_by_id[created.id] is topic
    assert topic.partitions[0].options.retention_ms == 5000
    log = again.partition(TOPIC, 1)
    assert log is not None
    assert values(log) == [b"a", b"b"]
    assert (again.partition(TOPIC, 3), again.partition("other", 0)) == (None, None)
    assert again.identity.cluster_id == storage.identity.cluster_id
    assert len(again.identity.cluster_id) == 22


def test_a_crash_at_any_time_keeps_topics_and_synced_records(fs: MemoryFs) -> None:
    storage = opened(fs)
    topic = storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS)
    store(topic.partitions[0], b"a")
    topic.partitions[0].append(make_batch(b"unsynced"), now_ms=NOW_MS)
    fs.crash()
    again = opened(fs)
    assert values(again.topics[TOPIC].partitions[0]) == [b"a"]
    assert again.topics[TOPIC].id == topic.id
    assert all(report.is_clean for report in again.reports)


def test_a_second_broker_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first = Storage.open(OsFs(), tmp_path, now_ms=NOW_MS)
    with pytest.raises(Unavailable, match=r"in use by the broker with pid \d+; stop that broker or choose"):
        Storage.open(OsFs(), tmp_path, now_ms=NOW_MS)
    first.close()
    Storage.open(OsFs(), tmp_path, now_ms=NOW_MS).close()


def test_an_unknown_format_is_refused_and_the_lock_given_back(fs: MemoryFs) -> None:
    opened(fs).close()
    content = json.loads(fs.read(DATA_DIR / "broker.json") or b"")
    fs.remove(DATA_DIR / "broker.json")
    fs.open(DATA_DIR / "broker.json").append(json.dumps({**content, "format": 2}).encode())
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"broker.json has format 2, not 1"):
            opened(fs)


def test_an_unreadable_topics_file_is_refused_rather_than_taken_for_empty(fs: MemoryFs) -> None:
    storage = opened(fs)
    storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS)
    storage.close()
    fs.corrupt(DATA_DIR / "topics.json", 0, b"#")
    with pytest.raises(InvalidInput, match=r"topics.json cannot be read"):
        opened(fs)


@pytest.mark.parametrize(
    ("name", "partitions", "configs", "error"),
    [
        (TOPIC, 1, {}, ErrorCode.TOPIC_ALREADY_EXISTS),
        ("no/slash", 1, {}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("..", 1, {}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("", 1, {}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("x" * 250, 1, {}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("new", 0, {}, ErrorCode.INVALID_PARTITIONS),
        ("new", 10_001, {}, ErrorCode.INVALID_PARTITIONS),
        ("new", 1, {"no.such": "1"}, ErrorCode.INVALID_CONFIG),
    ],
)
def test_an_impossible_topic_is_refused(
    fs: MemoryFs, name: str, partitions: int, configs: dict[str, str], error: ErrorCode
) -> None:
    storage = opened(fs)
    storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS)
    create = lambda: storage.create_topic(name, partitions=partitions, now_ms=NOW_MS, configs=configs)  # noqa: E731 - passed on
    assert refusal(create) is error
    assert list(storage.topics) == [TOPIC]


def test_a_topic_created_again_is_another_and_empty(fs: MemoryFs) -> None:
    storage = opened(fs)
    first = storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS)
    store(first.partitions[0], b"old")
    storage.delete_topic(TOPIC)
    assert (storage.topics, storage.topics_by_id) == ({}, {})
    second = storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS)
    assert second.id != first.id
    assert values(second.partitions[0]) == []
    assert refusal(lambda: storage.delete_topic("other")) is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    storage.reclaim()
    assert fs.listdir(DATA_DIR / "topics") == [f"{TOPIC}-0"]


def test_a_topic_grows_and_only_grows(fs: MemoryFs) -> None:
    storage = opened(fs)
    created = storage.create_topic(TOPIC, partitions=2, now_ms=NOW_MS)
    grown = storage.grow_topic(TOPIC, 4, now_ms=NOW_MS)
    assert grown.partitions[:2] == created.partitions
    assert grown.id == created.id
    assert refusal(lambda: storage.grow_topic(TOPIC, 4, now_ms=NOW_MS)) is ErrorCode.INVALID_PARTITIONS
    storage.close()
    assert len(opened(fs).topics[TOPIC].partitions) == 4


def test_a_changed_configuration_is_in_force_at_once_and_after_a_restart(fs: MemoryFs) -> None:
    storage = opened(fs)
    log = storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS).partitions[0]
    storage.alter_topic(TOPIC, {"max.message.bytes": "100"})
    assert log.options.max_message_bytes == 100
    refused = lambda: storage.alter_topic(TOPIC, {"max.message.bytes": "x"})  # noqa: E731 - passed on
    assert refusal(refused) is ErrorCode.INVALID_CONFIG
    storage.close()
    assert opened(fs).topics[TOPIC].partitions[0].options.max_message_bytes == 100


def test_what_the_disk_has_no_room_for_did_not_happen(fs: MemoryFs) -> None:
    storage = opened(fs)
    fs.capacity_bytes = fs.used_bytes()
    with pytest.raises(FsError):
        storage.create_topic(TOPIC, partitions=2, now_ms=NOW_MS)
    with pytest.raises(FsError):
        storage.identity.allocate_producer_id()
    assert storage.topics == {}
    fs.capacity_bytes = float("inf")
    assert storage.identity.allocate_producer_id() == 0
    storage.create_topic(TOPIC, partitions=2, now_ms=NOW_MS)
    fs.crash()
    assert list(opened(fs).topics) == [TOPIC]


def test_a_topic_half_created_before_a_crash_does_not_exist_and_can_be_created(fs: MemoryFs) -> None:
    storage = opened(fs)
    orphan = PartitionLog.open(fs, DATA_DIR / "topics" / f"{TOPIC}-0", options=LogOptions(), now_ms=NOW_MS)
    store(orphan, b"of nobody")
    assert values(storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS).partitions[0]) == []


def test_a_log_that_cannot_be_closed_does_not_keep_the_others_from_it(fs: MemoryFs) -> None:
    storage = opened(fs)
    first, second = storage.create_topic(TOPIC, partitions=2, now_ms=NOW_MS).partitions
    store(second, b"b")
    first.append(make_batch(b"lost"), now_ms=NOW_MS)
    fs.fail_sync = True
    storage.close()
    fs.fail_sync = False
    fs.crash()
    assert [values(log) for log in opened(fs).topics[TOPIC].partitions] == [[], [b"b"]]


def test_producer_ids_are_never_given_twice(fs: MemoryFs) -> None:
    given = []
    for _ in range(3):
        storage = opened(fs)
        given += [storage.identity.allocate_producer_id() for _ in range(PRODUCER_ID_BLOCK + 1)]
        fs.crash()
    assert len(set(given)) == len(given)


def test_a_missing_partition_directory_is_reported(fs: MemoryFs) -> None:
    storage = opened(fs)
    storage.create_topic(TOPIC, partitions=2, now_ms=NOW_MS)
    storage.close()
    directory = DATA_DIR / "topics" / f"{TOPIC}-1"
    for name in fs.listdir(directory):
        fs.remove(directory / name)
    fs.rmdir(directory)
    lines = [line for report in opened(fs).reports for line in report.lines()]
    assert lines == [f"{directory}: was missing; the partition begins again, empty"]


def test_retention_runs_over_all_topics(fs: MemoryFs) -> None:
    storage = opened(fs)
    short = storage.create_topic("short", partitions=1, now_ms=NOW_MS, configs={"retention.ms": "1000"})
    long = storage.create_topic("long", partitions=1, now_ms=NOW_MS)
    for topic in (short, long):
        store(topic.partitions[0], b"a")
    changed = storage.retention(NOW_MS + 1001)
    assert changed == [short.partitions[0], long.partitions[0]]
    assert [log.log_start_offset for log in changed] == [1, 0]
    for log in changed:
        log.sync()
    assert storage.retention(NOW_MS + 1001) == []


def test_ids_come_from_the_source_that_was_given(fs: MemoryFs) -> None:
    ids: Iterator[int] = iter(range(100))
    storage = Storage.open(fs, DATA_DIR, now_ms=NOW_MS, new_id=lambda: uuid.UUID(int=next(ids)))
    assert storage.create_topic(TOPIC, partitions=1, now_ms=NOW_MS).id == uuid.UUID(int=1)


WRITER = """
import pathlib, sys
from trunkline.broker.log.fs import OsFs
from trunkline.broker.storage import Storage
from trunkline.testing.log_desk import NOW_MS, make_batch

storage = Storage.open(OsFs(), pathlib.Path(sys.argv[1]), now_ms=NOW_MS)
topic = storage.topics.get("t") or storage.create_topic("t", partitions=1, now_ms=NOW_MS)
log = topic.partitions[0]
while True:
    for _ in range(5):
        log.append(make_batch(b"%d" % log.log_end_offset * 100), now_ms=NOW_MS)
    log.advance(log.sync())
    print(log.high_watermark, flush=True)
"""


def test_every_acknowledged_record_survives_kill_9(tmp_path: Path) -> None:
    acknowledged = 0
    for lines in (3, 40, 111):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            for _ in range(lines):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        storage = Storage.open(OsFs(), tmp_path, now_ms=NOW_MS)
        log = storage.topics["t"].partitions[0]
        assert log.high_watermark >= acknowledged
        assert values(log) == [b"%d" % number * 100 for number in range(log.high_watermark)]
        assert not log.recovery.damage
        storage.close()
