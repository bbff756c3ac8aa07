"""OpenLineage files, real and broken: what they say once, in order, and what is bad by name."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.catalogue.events.pipeline import PipelineRunCompleted, PipelineRunStarted
from trunkline.catalogue.events.quality import QualityCheckFailed
from trunkline.codec import Envelope, encode_checked
from trunkline.errors import InvalidInput
from trunkline.sources import openlineage
from trunkline.sources.bad import BadInput
from trunkline.sources.openlineage import find_files, read_events
from trunkline.testing.lineage import assertion, run_event, run_of_tests

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "openlineage"


def write(path: Path, *lines: bytes) -> Path:
    content = b"\n".join(lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def line(event_type: str, **others: Any) -> bytes:
    return msgspec.json.encode(run_event(event_type, **others))


def types(path: Path) -> list[str]:
    return [item.type for item in read_events(find_files([path])) if isinstance(item, Envelope)]


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/openlineage here")
def test_a_real_run_of_dbt_is_eleven_runs_and_twenty_checks() -> None:
    items = list(read_events(find_files([REAL]), tenant="acme"))
    found = [item for item in items if isinstance(item, Envelope)]
    assert len(found) == len(items)
    assert Counter(item.type for item in found) == {
        "pipeline.run_started.v1": 11,
        "pipeline.run_completed.v1": 11,
        "quality.check_passed.v1": 20,
    }
    assert len({item.id for item in found}) == 42
    assert [item.time for item in found] == sorted(item.time for item in found)
    for item in found:
        encode_checked(item)
    whole = next(
        item for item in found if isinstance(item.data, PipelineRunCompleted) and not item.data.outputs
    )
    assert {item.correlationid for item in found} == {whole.correlationid}
    assert isinstance(found[-1].data, PipelineRunCompleted)
    assert found[-1].data.duration_ms == 6_056


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/openlineage here")
def test_a_real_run_in_which_one_assertion_fails_tells_of_it(tmp_path: Path) -> None:
    """In the recorded run every assertion holds; this is the same run with one that does not."""
    [path] = find_files([REAL])
    broken = path.read_bytes().replace(
        b'"not_null_orders_amount", "params": {}, "severity": "error", "success": true',
        b'"not_null_orders_amount", "params": {}, "severity": "error", "success": false',
    )
    file = write(tmp_path / "run.jsonl", broken)
    found = [item.data for item in read_events([file]) if isinstance(item, Envelope)]
    [failed] = [event for event in found if isinstance(event, QualityCheckFailed)]
    assert (failed.asset, failed.dimension, failed.severity) == (
        "urn:table:main.orders",
        "completeness",
        "error",
    )


def test_runs_come_in_order_of_time_their_starts_first(tmp_path: Path) -> None:
    write(tmp_path / "1.jsonl", line("COMPLETE", seconds=5), line("START"), line("RUNNING", seconds=1))
    write(
        tmp_path / "2.jsonl.gz", line("FAIL", run="other", seconds=3), line("START", run="other", seconds=3)
    )
    assert types(tmp_path) == [
        "pipeline.run_started.v1",
        "pipeline.run_running.v1",
        "pipeline.run_started.v1",
        "pipeline.run_failed.v1",
        "pipeline.run_completed.v1",
    ]


def test_what_was_repeated_comes_once_and_a_second_start_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "1.jsonl", line("START"), line("START", seconds=1), line("COMPLETE"), line("COMPLETE"))
    [started, completed] = [
        item for item in read_events(find_files([tmp_path])) if isinstance(item, Envelope)
    ]
    assert isinstance(started.data, PipelineRunStarted)
    assert isinstance(completed.data, PipelineRunCompleted)


def test_a_result_follows_from_the_end_of_its_run(tmp_path: Path) -> None:
    file = write(tmp_path / "1.jsonl", run_of_tests(assertion("unique", success=False)))
    end, result = (item for item in read_events([file], tenant="acme") if isinstance(item, Envelope))
    assert (result.causationid, result.tenantid, result.source) == (end.id, "acme", "/data-quality-service")
    assert end.source == "/pipeline-service"


def test_a_document_may_be_one_run_event_or_a_list(tmp_path: Path) -> None:
    one = msgspec.json.format(line("START"), indent=2)
    write(tmp_path / "1.json", one)
    write(tmp_path / "2.json.gz", b"[" + line("COMPLETE", seconds=1) + b"," + line("FAIL", seconds=2) + b"]")
    assert len(types(tmp_path)) == 3


def test_more_run_events_than_are_held_back_still_come_out_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openlineage, "SORT_EVENTS_MAX", 3)
    write(tmp_path / "1.jsonl", *(line("START", run=f"r{number}") for number in range(10)))
    assert len(types(tmp_path)) == 10


def test_bad_files_and_lines_are_named_and_the_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openlineage, "RUN_EVENT_BYTES_MAX", 2_000)
    write(tmp_path / "1.jsonl", line("START"), b"{", b"", b"x" * 9_000, line("COMPLETE"), b'{"run": 1}')
    (tmp_path / "2.jsonl.gz").write_bytes(gzip.compress(line("FAIL", run="cut"))[:-9])
    (tmp_path / "3.json").write_bytes(b"[1")
    items = list(read_events(find_files([tmp_path])))
    bad = [(item.path.name, item.number) for item in items if isinstance(item, BadInput)]
    assert bad == [("1.jsonl", 2), ("1.jsonl", 4), ("1.jsonl", 6), ("2.jsonl.gz", None), ("3.json", None)]
    assert sum(isinstance(item, Envelope) for item in items) == 2


def test_a_path_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file ending in"):
        find_files([tmp_path])
    with pytest.raises(InvalidInput, match="no such file"):
        find_files([tmp_path / "absent"])
