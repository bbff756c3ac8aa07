"""CloudTrail logs, real and broken, are read in order of time, and what is bad is named."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.codec import Envelope
from trunkline.errors import InvalidInput
from trunkline.sources import cloudtrail
from trunkline.sources.bad import BadInput
from trunkline.sources.cloudtrail import find_files, read_events

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "cloudtrail"

RECORD: dict[str, Any] = {
    "eventTime": "2026-01-02T03:04:05Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetBucketAcl",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "recipientAccountId": "123456789012",
}


def write_log(path: Path, *records: Any) -> Path:
    content = msgspec.json.encode({"Records": list(records)})
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def test_files_are_found_below_a_directory_without_digests_and_others(tmp_path: Path) -> None:
    below = tmp_path / "2026" / "01"
    below.mkdir(parents=True)
    one, other = write_log(below / "b.json"), write_log(tmp_path / "a.json.gz")
    write_log(below / "1_CloudTrail-Digest_x.json.gz")
    (below / "notes.txt").touch()
    assert find_files(tmp_path) == [other, one]
    assert find_files(one) == [one]


def test_a_path_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file ending in"):
        find_files(tmp_path)
    with pytest.raises(InvalidInput, match="no such file"):
        find_files(tmp_path / "absent")


def test_records_come_in_order_of_time_across_files(tmp_path: Path) -> None:
    def at(second: int) -> dict[str, Any]:
        return RECORD | {"eventTime": f"2026-01-02T03:04:{second:02}Z", "eventID": f"e{second}"}

    files = [
        write_log(tmp_path / "1.json", at(5), at(1)),
        write_log(tmp_path / "2.json.gz", at(3), at(0), at(4)),
    ]
    events = [item for item in read_events(files) if isinstance(item, Envelope)]
    assert [item.time.second for item in events] == [0, 1, 3, 4, 5]


def test_more_records_than_are_held_back_still_come_out_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudtrail, "SORT_RECORDS_MAX", 3)
    log = write_log(tmp_path / "1.json", *(RECORD | {"eventID": f"e{number}"} for number in range(10)))
    ids = [item.id for item in read_events([log]) if isinstance(item, Envelope)]
    assert len(set(ids)) == 10


def test_bad_files_and_records_are_named_and_the_others_read(tmp_path: Path) -> None:
    write_log(tmp_path / "1-good.json", RECORD, {"eventID": "only"}, 7, RECORD | {"eventID": "second"})
    whole = write_log(tmp_path / "2.json.gz", RECORD).read_bytes()
    (tmp_path / "2-cut.json.gz").write_bytes(whole[:-20])
    (tmp_path / "3-plain.json.gz").write_bytes(b"not gzip")
    (tmp_path / "4-text.json").write_bytes(b"\xff\xfe")
    (tmp_path / "5-shape.json").write_bytes(b'{"records": []}')
    (tmp_path / "6-cut.json").write_bytes(b'{"Records": [{"eventID": ')
    items = list(read_events(find_files(tmp_path)))
    bad = [str(item) for item in items if isinstance(item, BadInput)]
    assert len([item for item in items if isinstance(item, Envelope)]) == 3
    assert [line.removeprefix(f"{tmp_path}/").partition(": ")[0] for line in bad] == [
        "1-good.json:2",
        "1-good.json:3",
        "2-cut.json.gz",
        "3-plain.json.gz",
        "4-text.json",
        "5-shape.json",
        "6-cut.json",
    ]


def test_a_file_too_large_to_be_a_log_is_refused_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudtrail, "FILE_BYTES_MAX", 100)
    (item,) = read_events([write_log(tmp_path / "1.json.gz", *[RECORD] * 100)])
    assert isinstance(item, BadInput)
    assert "more than 100 bytes" in item.reason


@pytest.mark.skipif(not REAL.is_dir(), reason="the real CloudTrail logs are not at ../shared/data")
def test_the_real_logs_are_read_whole_and_in_order() -> None:
    events = [item for item in read_events(find_files(REAL)) if isinstance(item, Envelope)]
    assert len(events) == len({item.id for item in events}) == 2_273
    assert [item.time for item in events] == sorted(item.time for item in events)
    assert Counter(item.data.outcome for item in events) == {"success": 2_035, "failure": 178, "denied": 60}
    assert len({item.data.action.rpartition(":")[2] for item in events}) == 191
    assert {item.tenantid for item in events} == {"123837392027"}
