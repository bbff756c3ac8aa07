"""Look-ups in the catalogue."""

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.errors import InvalidInput


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def test_a_service_publishes_its_topics_and_consumes_those_it_was_given(catalogue: Catalogue) -> None:
    assert [topic.name for topic in catalogue.published_by("query-engine")] == ["query.execution.events"]
    assert [topic.name for topic in catalogue.consumed_by("query-engine")] == [
        "config.change.events",
        "governance.policy.events",
    ]


def test_audit_publishes_nothing_and_consumes_seven_topics(catalogue: Catalogue) -> None:
    assert catalogue.published_by("audit-service") == ()
    assert len(catalogue.consumed_by("audit-service")) == 7


def test_an_unknown_name_is_answered_with_near_ones(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match=r"unknown topic 'query\.executions\.events'; did you mean query"):
        catalogue.topic("query.executions.events")
    with pytest.raises(InvalidInput, match="unknown service 'audit'; did you mean audit-service"):
        catalogue.consumed_by("audit")
    with pytest.raises(InvalidInput, match="unknown environment 'x'; there are: development, production"):
        catalogue.partitions("ai.agent.events", "x")
