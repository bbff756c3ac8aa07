"""The matrix is whole, and a deviation is a sentence."""

from trunkline.catalogue.access import Asset, Kind, Operation
from trunkline.catalogue.load import load_catalogue
from trunkline.testing.access_matrix import Tried, groups, topics, user_rights

CATALOGUE = load_catalogue()


def test_everybody_with_a_principal_is_in_it() -> None:
    assert list(user_rights(CATALOGUE)) == [
        *CATALOGUE.services,
        "trunkline-exporter",
        "trunkline-operator",
    ]


def test_all_fourteen_topics_and_every_services_groups_are_in_it() -> None:
    assert len(topics(CATALOGUE)) == 14
    assert len(groups(CATALOGUE)) == len(set(groups(CATALOGUE))) == 28


def test_a_deviation_says_what_is_and_what_should_be() -> None:
    asset = Asset(Kind.TOPIC, "ai.agent.events")
    tried = Tried(user="audit-service", operation=Operation.WRITE, asset=asset, allowed=True, expected=False)
    assert tried.deviates
    assert str(tried) == "audit-service may Write topic ai.agent.events, and may not"
