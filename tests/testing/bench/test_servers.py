import os
from pathlib import Path

from trunkline.testing.bench.servers import MockProcess, sync_ms, usage


def test_a_process_has_memory_and_has_used_its_processor() -> None:
    found = usage(os.getpid())
    assert found is not None
    assert 5 < found.rss_mb < 10_000
    assert found.cpu_seconds > 0


def test_nothing_is_said_of_a_process_that_is_not_there() -> None:
    assert usage(2**30) is None


def test_the_mock_cluster_is_a_process_that_ends_with_its_context() -> None:
    with MockProcess() as mock:
        host, _, port = mock.address.rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0
        assert usage(mock.pid) is not None
    assert usage(mock.pid) is None


def test_the_disk_is_timed_for_each_append(tmp_path: Path) -> None:
    samples = sync_ms(tmp_path, times=5)
    assert len(samples) == 5
    assert all(sample > 0 for sample in samples)
    assert (tmp_path / "sync").stat().st_size == 5 * 1000
