"""What each type of event says of which assets."""

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.events import model as ml
from trunkline.catalogue.events import policy as gov
from trunkline.catalogue.names import EventType
from trunkline.services.catalog.facts import NAME_BYTES_MAX, Edge, Facts
from trunkline.services.catalog.reading import facts_of


def read(event: Event) -> Facts:
    facts = facts_of(event)
    assert facts is not None
    return facts


@pytest.mark.parametrize("type_", sorted(name for name, one in EVENT_TYPES.items() if one.topic == ml.TOPIC))
def test_every_event_of_a_model_says_something(type_: str) -> None:
    declaration = EVENT_TYPES[EventType(type_)]
    facts = read(msgspec.convert(dict(declaration.example), declaration.cls))
    assert facts.facets
    assert not facts.rejected


def test_a_version_depends_on_the_tables_that_it_learned_from() -> None:
    created = ml.ModelVersionCreated(
        model="churn",
        version=3,
        actor_id="ana",
        source_uri="s3://m",
        trained_on=("Sales.Orders", "urn:table:x.y"),
    )
    facts = read(created)
    version = "urn:model_version:churn/3"
    assert set(facts.edges) == {
        Edge(version, "urn:model:churn", "version_of"),
        Edge("urn:table:sales.orders", version, "trained_on"),
        Edge("urn:table:x.y", version, "trained_on"),
    }


def test_a_bad_table_is_rejected_alone() -> None:
    created = ml.ModelVersionCreated(
        model="churn",
        version=3,
        actor_id="ana",
        source_uri="s3://m",
        metrics={"auc": 0.9},
        trained_on=("urn:table:a.b", "urn:nothing", "urn:table:c.\0"),
    )
    facts = read(created)
    assert {facet.name for facet in facts.facets} == {"version", "metrics", "trained_on"}
    assert [(one.name, one.reason) for one in facts.rejected] == [
        ("trained_on:urn:nothing", "'urn:nothing' names no asset: use urn:KIND:NAME")
    ]


def test_a_facet_that_no_database_keeps_is_rejected_and_the_rest_is_kept() -> None:
    facts = read(ml.ModelTagSet(model="churn", key="k", value="a\0b", actor_id="ana"))
    assert not facts.facets
    (rejected,) = facts.rejected
    assert "NUL" in rejected.reason
    longest = read(
        ml.ModelTagSet(model="\U0001f600" * 256, key="\U0001f600" * 256, value="v", actor_id="ana")
    )
    assert not longest.rejected
    assert len(longest.facets[0].urn.encode()) <= NAME_BYTES_MAX


def test_a_column_belongs_to_its_table() -> None:
    facts = read(
        gov.ClassificationChanged(
            asset="urn:column:Sales.Orders.Phone", classification="personal", actor_id="a"
        )
    )
    assert facts.edges == (Edge("urn:column:sales.orders.phone", "urn:table:sales.orders", "column_of"),)
    assert facts.mentions == ("urn:column:sales.orders.phone", "urn:table:sales.orders")


@pytest.mark.parametrize("scope", ["tag:pii", "*", "urn:table:sales.*"])
def test_a_policy_about_more_than_one_asset_mentions_none(scope: str) -> None:
    published = gov.PolicyPublished(
        policy_id="p", version=1, kind="access", mode="enforce", scope=scope, body="x", actor_id="a"
    )
    assert read(published).mentions == ("urn:policy:p",)


def test_an_event_that_is_of_no_concern_says_nothing() -> None:
    declaration = EVENT_TYPES[EventType("query.completed.v1")]
    assert facts_of(msgspec.convert(dict(declaration.example), declaration.cls)) is None
