"""The same state for the same events, in whatever order, however often, in batches of whatever size."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect

from trunkline.catalogue.events import Event
from trunkline.catalogue.events import model as ml
from trunkline.catalogue.events import policy as gov
from trunkline.client.store import migrate, open_store
from trunkline.codec import Envelope
from trunkline.services.catalog.tables import CATALOG, METADATA
from trunkline.testing.catalog_desk import Catalog, Copies, said
from trunkline.testing.suite.streams import platform_events

MODELS = st.sampled_from(["churn", "fraud"])
VERSIONS = st.integers(1, 3)
WHO = st.just("ana")
TABLES = st.sampled_from(["urn:table:s.a", "urn:table:s.b", "S.A", "urn:bad"])
COLUMNS = st.sampled_from(["urn:column:s.a.x", "urn:table:s.a"])
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(ml.ModelRegistered, model=MODELS, actor_id=WHO, owner_id=st.sampled_from(["ana", "ben"])),
    st.builds(
        ml.ModelVersionCreated,
        model=MODELS,
        version=VERSIONS,
        actor_id=WHO,
        source_uri=st.just("s3://m"),
        trained_on=st.lists(TABLES, max_size=2).map(tuple),
    ),
    st.builds(ml.ModelAliasSet, model=MODELS, alias=st.just("champion"), version=VERSIONS, actor_id=WHO),
    st.builds(ml.ModelAliasRemoved, model=MODELS, alias=st.just("champion"), actor_id=WHO),
    st.builds(
        ml.ModelTagSet,
        model=MODELS,
        key=st.just("k"),
        value=st.sampled_from(["x", "y\0"]),
        version=st.none() | VERSIONS,
        actor_id=WHO,
    ),
    st.builds(ml.ModelDeleted, model=MODELS, version=st.none() | VERSIONS, actor_id=WHO),
    st.builds(
        gov.PolicyPublished,
        policy_id=st.just("p"),
        version=VERSIONS,
        kind=st.just("access"),
        mode=st.just("enforce"),
        scope=COLUMNS,
        body=st.just("permit;"),
        actor_id=WHO,
    ),
    st.builds(gov.PolicyRevoked, policy_id=st.just("p"), version=VERSIONS, actor_id=WHO),
    st.builds(
        gov.AssetQuarantined,
        asset=COLUMNS,
        decision_id=st.just("d"),
        reason=st.just("bad"),
        actor_id=WHO,
    ),
    st.builds(
        gov.AssetReleased, asset=COLUMNS, decision_id=st.just("e"), reason=st.just("good"), actor_id=WHO
    ),
)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(tmp_path_factory.mktemp("copies"))


# Few minutes, so that many events are of the same time.
TOLD = st.lists(st.tuples(EVENTS, st.integers(0, 4)), min_size=1, max_size=25)


@settings(max_examples=80, deadline=None)
@given(told=TOLD, data=st.data())
def test_neither_order_nor_repetition_nor_the_size_of_batches_matters(
    copies: Copies, told: list[tuple[Event, int]], data: st.DataObject
) -> None:
    events = [said(event, minute, id=f"e-{number}") for number, (event, minute) in enumerate(told)]
    other = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=5))]))
    assert copies.digest(events, 100) == copies.digest(other, data.draw(st.integers(1, 10)))


def test_events_of_the_platform_give_one_digest_in_any_order(catalog: Catalog, copies: Copies) -> None:
    events = of_models_and_policies(seed=3)
    catalog.take_in_batches(events, 100)
    rng = random.Random(1)
    rng.shuffle(events)
    assert copies.digest(events, 7) == catalog.digest()
    catalog.take_in_batches(events, 31)
    assert copies.digest(events, 50) == catalog.digest()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_thousand_shuffles_with_a_fifth_repeated_give_one_digest(copies: Copies) -> None:
    events = of_models_and_policies(seed=5)
    rng = random.Random(2)
    expected = copies.digest(events, 100)
    for _ in range(1_000):
        other = [*events, *rng.sample(events, len(events) // 5)]
        rng.shuffle(other)
        assert copies.digest(other, rng.randint(1, 100)) == expected


def test_the_tables_are_those_that_the_migrations_make(store_url: str) -> None:
    store = open_store(store_url)
    migrate(store, CATALOG)
    store.close()
    engine = create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
    found = inspect(engine)
    for table in METADATA.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}
        assert {index["name"] for index in found.get_indexes(table.name)} >= {i.name for i in table.indexes}
    engine.dispose()


def of_models_and_policies(seed: int) -> list[Envelope[Event]]:
    return [event for event in platform_events(seed) if event.type.startswith(("model.", "policy."))]
