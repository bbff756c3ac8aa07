"""OpenLineage run events come in any order, and a run is where its furthest one says."""

from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.codec.openlineage.run_event import decode_run_event
from trunkline.services.pipeline.lifecycle import StepRefused
from trunkline.services.pipeline.lineage import Taken, take
from trunkline.services.pipeline.state import state_digest
from trunkline.testing.lineage import BEGIN, dataset, run_event
from trunkline.testing.service_desk import ServiceDesk, service_desk


def given(service: ServiceDesk, event_type: str, **others: Any) -> Taken:
    event = decode_run_event(msgspec.json.encode(run_event(event_type, **others)))
    assert service.context.outbox is not None
    with service.store.write() as tx:
        return take(tx, "acme", event, service.context.outbox)


LIFE: list[dict[str, Any]] = [
    {"event_type": "START", "inputs": [dataset("a.main.raw")]},
    {"event_type": "RUNNING", "seconds": 1},
    {"event_type": "OTHER", "seconds": 2, "outputs": [dataset("a.main.side")]},
    {"event_type": "COMPLETE", "seconds": 3, "outputs": [dataset("a.main.orders")]},
]


def test_a_life_in_order_is_told_in_order(service: ServiceDesk) -> None:
    assert [given(service, **one).published for one in LIFE] == [True, True, False, True]
    told = service.published()
    assert [one.type for one in told][-1] == "pipeline.run_completed.v1"
    assert told[-1].data["duration_ms"] == 3_000


def test_a_repeated_run_event_changes_nothing(service: ServiceDesk) -> None:
    for one in LIFE:
        given(service, **one)
        assert not given(service, **one).published
    with service.store.read() as tx:
        before = state_digest(tx)
    assert not any(given(service, **one).published for one in LIFE)
    with service.store.read() as tx:
        assert state_digest(tx) == before


ENDED_TWICE: list[dict[str, Any]] = [
    {"event_type": "COMPLETE", "seconds": 5},
    {"event_type": "COMPLETE", "seconds": 3, "outputs": [dataset("a.main.orders")]},
]


@pytest.mark.parametrize("life", [[LIFE[0], LIFE[1], LIFE[3]], ENDED_TWICE], ids=["life", "ended twice"])
def test_any_order_comes_to_the_same_run(tmp_path: Path, life: list[dict[str, Any]]) -> None:
    digests = set()
    for number, order in enumerate(permutations(life)):
        directory = tmp_path / str(number)
        with service_desk("pipeline-service", f"sqlite:///{directory}.db", directory, now=BEGIN) as desk:
            for one in (*order, *order):
                given(desk, **one)
            with desk.store.read() as tx:
                digests.add(state_digest(tx))
            assert desk.published()[-1].type == "pipeline.run_completed.v1"
    assert len(digests) == 1


def test_a_start_behind_the_end_opens_nothing(service: ServiceDesk) -> None:
    given(service, "FAIL", seconds=3)
    assert given(service, "START") == Taken("failed", published=False)
    assert [one.type for one in service.published()] == ["pipeline.run_failed.v1"]


def test_a_second_other_end_is_refused(service: ServiceDesk) -> None:
    given(service, "COMPLETE")
    with pytest.raises(StepRefused, match="is completed; it cannot also be failed"):
        given(service, "FAIL")


def test_other_alone_begins_no_run(service: ServiceDesk) -> None:
    assert given(service, "OTHER") == Taken("unknown", published=False)
    assert service.published() == []
