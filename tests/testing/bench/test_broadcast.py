from pathlib import Path

import pytest

from trunkline.testing.bench.broadcast import INSTANCES, measure


def test_a_few_instances_are_measured(tmp_path: Path) -> None:
    said: list[str] = []
    figures = measure(tmp_path, rounds=1, say=said.append, instances=3)
    assert said[0] == "broadcast: 3 instances start"
    assert [item.name for item in figures] == ["propagation p50", "propagation p99", "resolve"]
    assert all(item.value > 0 for item in figures)


@pytest.mark.slow
def test_a_change_reaches_a_hundred_instances_within_the_target(tmp_path: Path) -> None:
    assert INSTANCES == 100
    figures = {item.name: item for item in measure(tmp_path, rounds=1, say=lambda _: None)}
    assert figures["propagation p99"].met
    assert figures["resolve"].met
