import os

from trunkline.testing.bench.servers import MockProcess, usage


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
