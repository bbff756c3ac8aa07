"""From one state of a registry to the next: what an import publishes, and when it says that it happened."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.model import (
    ModelAliasRemoved,
    ModelAliasSet,
    ModelDeleted,
    ModelRegistered,
    ModelStageChanged,
    ModelTagRemoved,
    ModelTagSet,
    ModelVersionCreated,
)
from trunkline.codec import Envelope, encode_checked
from trunkline.sources.mlflow_facts import Changes, Fact, Key, State, changes, content_of, is_another_registry

MODEL: Key = ("model", "churn", 0, "")
VERSION: Key = ("version", "churn", 1, "")
STAGE: Key = ("stage", "churn", 1, "")
TAG: Key = ("tag", "churn", 1, "k")
ALIAS: Key = ("alias", "churn", 0, "champion")


def fact(key: Key, value: str = "a", own_us: int | None = None) -> Fact:
    kind, model, version, name = key
    event: Event
    if kind == "model":
        event = ModelRegistered(model=model, actor_id="m", description=value)
    elif kind == "version":
        event = ModelVersionCreated(model=model, version=version, actor_id="m", source_uri=value)
    elif kind == "stage":
        event = ModelStageChanged(
            model=model, version=version, previous_stage="none", stage="staging", actor_id="m"
        )
    elif kind == "tag":
        event = ModelTagSet(model=model, version=version or None, key=name, value=value, actor_id="m")
    else:
        event = ModelAliasSet(model=model, alias=name, version=len(value), actor_id="m")
    return Fact(key=key, event=event, content=content_of(value), own_us=own_us, value="staging")


def imported(facts: list[Fact], before: State | None = None, noticed_us: int = 1_000) -> Changes:
    return changes(facts, before or State(), tenant="acme", registry="mlflow", noticed_us=noticed_us)


def us(envelope: Envelope[Event]) -> int:
    return round(envelope.time.timestamp() * 1_000_000)


def test_the_registrys_own_time_counts_where_it_has_one() -> None:
    done = imported([fact(ALIAS), fact(MODEL, own_us=7), fact(VERSION, own_us=8)])
    assert [(type(one.data), us(one)) for one in done.events] == [
        (ModelRegistered, 7),
        (ModelVersionCreated, 8),
        (ModelAliasSet, 1_000),
    ]


def test_importing_again_publishes_nothing() -> None:
    facts = [fact(MODEL, own_us=7), fact(VERSION, own_us=8), fact(TAG), fact(ALIAS)]
    first = imported(facts)
    again = imported(facts, first.state, noticed_us=2_000)
    assert again.events == ()
    assert again.state == first.state


def test_a_moved_alias_is_noticed_and_a_removed_one() -> None:
    first = imported([fact(MODEL, own_us=7), fact(ALIAS)])
    moved = imported([fact(MODEL, own_us=7), fact(ALIAS, "bb")], first.state, noticed_us=2_000)
    (event,) = moved.events
    assert isinstance(event.data, ModelAliasSet)
    assert (event.data.version, us(event)) == (2, 2_000)
    back = imported([fact(MODEL, own_us=7), fact(ALIAS)], moved.state, noticed_us=3_000)
    assert back.events[0].id not in {event.id, first.events[1].id}
    gone = imported([fact(MODEL, own_us=7)], back.state, noticed_us=4_000)
    (event,) = gone.events
    assert isinstance(event.data, ModelAliasRemoved)
    assert us(event) == 4_000


def test_what_is_deleted_is_said_once_and_takes_along_what_was_on_it() -> None:
    owned = [fact(MODEL, own_us=7), fact(VERSION, own_us=7)]
    first = imported([*owned, fact(STAGE), fact(TAG), fact(ALIAS)])
    version_gone = imported([fact(MODEL, own_us=7)], first.state)
    assert [type(one.data) for one in version_gone.events] == [ModelAliasRemoved, ModelDeleted]
    everything_gone = imported([], first.state)
    deleted = [one.data for one in everything_gone.events]
    assert [one.version for one in deleted if isinstance(one, ModelDeleted)] == [1, None]
    assert len(deleted) == 2
    assert imported([], everything_gone.state).events == ()
    only_names = imported(owned, first.state)
    assert [type(one.data) for one in only_names.events] == [
        ModelAliasRemoved,
        ModelTagRemoved,
        ModelStageChanged,
    ]


def test_an_import_that_was_cut_short_makes_the_same_events_again() -> None:
    facts = [fact(MODEL, own_us=7), fact(ALIAS)]
    assert imported(facts).events == imported(facts).events


def test_a_registry_without_any_model_of_before_is_another_one() -> None:
    first = imported([fact(MODEL, own_us=7)])
    assert is_another_registry([], first.state)
    assert is_another_registry([fact(("model", "fraud", 0, ""))], first.state)
    assert not is_another_registry([fact(MODEL)], first.state)
    assert not is_another_registry([], State())


Registry = Mapping[Key, str]
REGISTRIES = st.dictionaries(st.sampled_from([TAG, ALIAS, STAGE]), st.sampled_from(["a", "bb"]))


@given(states=st.lists(REGISTRIES, min_size=1, max_size=8), clock=st.data())
def test_whoever_puts_the_events_in_order_of_time_has_the_registry(
    states: list[Registry], clock: st.DataObject
) -> None:
    """Also when the clock of the machine that imports is set back."""
    events: list[Envelope[Event]] = []
    state = State()
    for registry in states:
        facts = [fact(MODEL, own_us=1), fact(VERSION, own_us=1)]
        facts += [fact(key, value) for key, value in registry.items()]
        done = imported(facts, state, clock.draw(st.integers(0, 5)))
        events += done.events
        state = done.state
    assert len({one.id for one in events}) == len(events)
    newest: dict[Key, Event] = {}
    for one in sorted(events, key=lambda one: one.time):
        encode_checked(one)
        newest[key_of(one.data)] = one.data
    shown = {key: event for key, event in newest.items() if not is_gone(event)}
    wanted = {key: fact(key, value).event for key, value in states[-1].items()}
    assert {key: value_of(event) for key, event in shown.items()} == {
        key: value_of(event) for key, event in wanted.items()
    } | {key: value_of(newest[key]) for key in (MODEL, VERSION)}


def key_of(event: Event) -> Key:
    if isinstance(event, (ModelTagSet, ModelTagRemoved)):
        return TAG
    if isinstance(event, (ModelAliasSet, ModelAliasRemoved)):
        return ALIAS
    if isinstance(event, ModelStageChanged):
        return STAGE
    return MODEL if isinstance(event, ModelRegistered) else VERSION


def is_gone(event: Event) -> bool:
    if isinstance(event, ModelStageChanged):
        return event.stage == "none"
    return isinstance(event, (ModelTagRemoved, ModelAliasRemoved))


def value_of(event: Event) -> object:
    if isinstance(event, ModelStageChanged):
        return event.stage
    if isinstance(event, ModelAliasSet):
        return event.version
    return event
