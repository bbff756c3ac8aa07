from pathlib import Path

from trunkline.testing.bench.broadcast import measure


def test_a_few_instances_are_measured(tmp_path: Path) -> None:
    said: list[str] = []
    figures = measure(tmp_path, rounds=1, say=said.append, instances=3)
    assert said[0] == "broadcast: 3 instances start"
    assert [item.name for item in figures] == ["propagation p50", "propagation p99", "resolve"]
    assert all(item.value > 0 for item in figures)
