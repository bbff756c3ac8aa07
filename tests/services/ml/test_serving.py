"""Stages, approval, deployments and drift: what may follow what."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events.model import Stage
from trunkline.errors import InvalidInput
from trunkline.services.ml import registering, serving
from trunkline.services.ml.rules import TRANSITIONS, NotRegistered, Refused, require_transition
from trunkline.services.ml.work import Work

Acting = Callable[..., AbstractContextManager[Work]]


@pytest.fixture(autouse=True)
def model(acting: Acting) -> None:
    """A model with a version."""
    with acting() as work:
        registering.register(work, "churn")
        registering.create_version(work, "churn", source_uri="s3://m")


def moved(acting: Acting, *stages: Stage, actor: str = "ana") -> str:
    for stage in stages:
        with acting(actor) as work:
            found = serving.change_stage(work, "churn", 1, stage)
    return found.stage


def test_production_needs_the_word_of_a_second_person(
    acting: Acting, published: Callable[[], list[Any]]
) -> None:
    assert moved(acting, "development", "staging", "production") == "staging"
    with pytest.raises(Refused, match="ana asked for it, so somebody else"), acting("ana") as work:
        serving.approve_stage(work, "churn", 1)
    with acting("ben") as work:
        assert serving.approve_stage(work, "churn", 1).stage == "production"
    said = msgspec.json.decode(published()[-1].payload)
    assert (said["actor_id"], said["approved_by"], said["previous_stage"]) == ("ana", "ben", "staging")
    with pytest.raises(Refused, match="nobody has asked"), acting("ben") as work:
        serving.approve_stage(work, "churn", 1)


def test_a_request_ends_when_the_version_goes_elsewhere(acting: Acting) -> None:
    moved(acting, "development", "staging", "production", "archived")
    with pytest.raises(Refused, match="nobody has asked"), acting("ben") as work:
        serving.approve_stage(work, "churn", 1)


@given(path=st.lists(st.sampled_from(get_args(Stage)), max_size=12))
def test_only_what_the_table_allows_follows(path: Iterable[Stage]) -> None:
    stage: Stage = "none"
    for after in path:
        if after in TRANSITIONS[stage]:
            require_transition("churn 1", before=stage, after=after)
            stage = after
        else:
            with pytest.raises(Refused):
                require_transition("churn 1", before=stage, after=after)
    assert path == [] or stage in TRANSITIONS


def test_a_version_serves_only_in_a_stage_for_it(acting: Acting, published: Callable[[], list[Any]]) -> None:
    with pytest.raises(Refused, match="churn 1 is in none"), acting() as work:
        serving.deploy(work, "churn", 1, endpoint="eu")
    moved(acting, "development")
    with acting() as work:
        assert serving.deploy(work, "churn", 1, endpoint="eu")
        assert not serving.deploy(work, "churn", 1, endpoint="eu")
        assert serving.deploy(work, "churn", 1, endpoint="eu", replicas=3)
    with pytest.raises(Refused, match="undeploy it first"):
        moved(acting, "archived")
    with pytest.raises(InvalidInput, match="replicas"), acting() as work:
        serving.deploy(work, "churn", 1, endpoint="eu", replicas=0)
    with acting() as work:
        serving.undeploy(work, "churn", 1, endpoint="eu")
    with pytest.raises(NotRegistered, match="not deployed at 'eu'"), acting() as work:
        serving.undeploy(work, "churn", 1, endpoint="eu")
    assert [row.type for row in published()[3:]] == ["model.deployed.v1"] * 2 + ["model.undeployed.v1"]


def test_drift_is_of_a_version_that_serves_and_above_its_threshold(acting: Acting) -> None:
    with pytest.raises(Refused, match="not deployed"), acting() as work:
        serving.report_drift(work, "churn", 1, metric="psi", value=0.3, threshold=0.2)
    moved(acting, "development")
    with acting() as work:
        serving.deploy(work, "churn", 1, endpoint="eu")
        serving.report_drift(work, "churn", 1, metric="psi", value=0.3, threshold=0.2)
    with pytest.raises(Refused, match="not above"), acting() as work:
        serving.report_drift(work, "churn", 1, metric="psi", value=0.2, threshold=0.2)
