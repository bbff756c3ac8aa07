from pathlib import Path

from trunkline.testing.bench.config import measure


def test_a_few_instances_are_measured_from_the_commit(tmp_path: Path) -> None:
    said: list[str] = []
    figures = measure(tmp_path, rounds=1, say=said.append, instances=3)
    assert said[0] == "config: 3 instances start"
    names = ["change committed", "commit to instance p50", "commit to instance p99", "resolve"]
    assert [item.name for item in figures] == names
    assert all(item.value > 0 for item in figures)
