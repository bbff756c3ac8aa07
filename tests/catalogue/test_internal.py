"""The backbone's own topics."""

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.load import load_catalogue


def test_no_internal_topic_has_the_name_of_one_of_the_contract() -> None:
    assert {topic.name for topic in INTERNAL_TOPICS}.isdisjoint(load_catalogue(None).topics)
