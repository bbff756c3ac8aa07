"""Results of checks by OpenLineage's door."""

from typing import Any

from trunkline.codec.openlineage.run_event import decode_run_event
from trunkline.services.quality.lineage import Taken, take
from trunkline.sources.openlineage import QUALITY_SOURCE
from trunkline.testing.lineage import assertion, run_of_tests
from trunkline.testing.service_desk import ServiceDesk


def given(service: ServiceDesk, *assertions: dict[str, Any], **others: Any) -> Taken:
    assert service.context.outbox is not None
    event = decode_run_event(run_of_tests(*assertions, **others))
    with service.store.write() as tx:
        return take(tx, "acme", event, service.context.outbox)


def test_results_are_kept_and_published_once(service: ServiceDesk) -> None:
    both = (assertion("unique"), assertion("not_null", success=False))
    assert given(service, *both) == Taken(new=2, known=0)
    assert given(service, *both) == Taken(new=0, known=2)
    types = [one.type for one in service.published()]
    assert types == ["quality.check_passed.v1", "quality.check_failed.v1", "quality.score_changed.v1"]


def test_a_score_follows_the_newest_result_of_each_check(service: ServiceDesk) -> None:
    given(service, assertion("not_null"), assertion("not_null", column="id"), run="r1")
    given(service, assertion("not_null", success=False), run="r2", seconds=60)
    given(service, assertion("not_null"), run="r3", seconds=120)
    scores = [one.data for one in service.published() if one.type == "quality.score_changed.v1"]
    assert [(one["previous_percent"], one["percent"]) for one in scores] == [(100, 50), (50, 100)]


def test_scores_of_one_run_that_reports_twice_are_two_events(service: ServiceDesk) -> None:
    given(service, assertion("not_null", success=False), run="r1")
    given(service, assertion("not_null", column="id"), run="r1")
    scores = [one for one in service.published() if one.type == "quality.score_changed.v1"]
    assert [one.data["percent"] for one in scores] == [0, 50]
    assert len({one.id for one in scores}) == 2


def test_an_older_result_that_comes_late_does_not_change_the_score(service: ServiceDesk) -> None:
    given(service, assertion("not_null"), run="r2", seconds=60)
    given(service, assertion("not_null", success=False), run="r1")
    assert [one.type for one in service.published()] == ["quality.check_passed.v1", "quality.check_failed.v1"]


def test_what_is_published_is_what_an_import_would_publish(service: ServiceDesk) -> None:
    assert service.context.outbox is not None
    assert service.context.outbox.source == QUALITY_SOURCE
