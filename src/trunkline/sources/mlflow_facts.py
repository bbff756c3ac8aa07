"""What a registry says at one moment, and what has changed since the moment before. Pure.

MLflow keeps no history: it says where an alias points and not since when, and nothing of what is deleted. So
an import compares with what the import before has seen, fact by fact; that is its state. What is new or other
becomes an event, what is no longer there becomes the event that says so, and what is as it was becomes
nothing. The catalog cannot stand in for that state: it is another service's store, may be behind, and knows
only what was published.

The time of an event is the registry's own where it has one (models, versions, stages). Aliases and tags have
none: they get the time at which the import first noticed them. A fact's next event is always later than the
one before, so that a reader who puts events in order by time has them in the order of the registry.

Ids are derived from the fact, its content and its time. An import that was cut short and runs again notices
the same facts at the same time (`State.noticed_us`), and so makes the same events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.model import (
    ModelAliasRemoved,
    ModelDeleted,
    ModelStageChanged,
    ModelTagRemoved,
    Stage,
)
from trunkline.catalogue.names import TenantId
from trunkline.codec import Envelope, derive_id, new_envelope

NOBODY: Final = "mlflow"
"""Who did what the registry names nobody for."""

GONE: Final = "gone"
"""The content of what is no longer there. It is remembered, for it may come back, and must then be later."""

NO_STAGE: Final = "none"

Key: TypeAlias = tuple[str, str, int, str]
"""Kind of fact, model, version (0: the model's own), name of alias or tag."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER: Final = {"model": 0, "version": 1, "stage": 2, "tag": 3, "alias": 4}
"""What others refer to comes first; what is taken away goes in the reverse order."""


class Seen(msgspec.Struct, frozen=True):
    """A fact as an import has published it. `value` is what a later event has to name, such as a stage."""

    key: Key
    content: str
    time_us: int
    value: str = ""


class State(msgspec.Struct, frozen=True):
    """What is known of a registry. `noticed_us` is the time of an import that has not come to its end."""

    facts: tuple[Seen, ...] = ()
    noticed_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that the registry says now.

    `content` tells whether it is as it was. `own_us` is the registry's own time of it, if it has one.
    """

    key: Key
    event: Event
    content: str
    own_us: int | None = None
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The events that lead from one state to the next."""

    events: tuple[Envelope[Event], ...]
    state: State = field(default_factory=State)


def content_of(*parts: object) -> str:
    """Stands for the whole content of a fact."""
    return sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


def changes(facts: Iterable[Fact], before: State, *, tenant: str, registry: str, noticed_us: int) -> Changes:
    """What has changed between the state before and these facts."""
    known = {seen.key: seen for seen in before.facts}
    now = {fact.key: fact for fact in facts}
    events: list[Envelope[Event]] = []
    after: list[Seen] = []

    def tell(event: Event, key: Key, content: str, time_us: int) -> None:
        events.append(
            new_envelope(
                event,
                tenant=TenantId(tenant),
                source=f"/mlflow/{registry}",
                id=derive_id("mlflow", registry, *map(str, key), content, str(time_us)),
                time=_EPOCH + timedelta(microseconds=time_us),
                subject=key[1],
            )
        )

    for seen in sorted(known.values(), key=lambda one: _place(one.key), reverse=True):
        if seen.key in now:
            continue
        gone = seen
        if seen.content != GONE:
            gone = Seen(seen.key, GONE, max(noticed_us, seen.time_us + 1), NO_STAGE)
            if (event := _gone(seen, now)) is not None:
                tell(event, seen.key, GONE, gone.time_us)
        after.append(gone)
    for fact in sorted(now.values(), key=lambda one: _place(one.key)):
        last = known.get(fact.key)
        if last is not None and last.content == fact.content:
            after.append(last)
            continue
        time_us = _time_us(fact, last, noticed_us)
        event = fact.event
        if isinstance(event, ModelStageChanged) and last is not None:
            event = msgspec.structs.replace(event, previous_stage=msgspec.convert(last.value, Stage))
        tell(event, fact.key, fact.content, time_us)
        after.append(Seen(fact.key, fact.content, time_us, fact.value))
    return Changes(events=tuple(events), state=State(tuple(after)))


def is_another_registry(facts: Iterable[Fact], before: State) -> bool:
    """Whether nothing is left of what was seen before: more likely a wrong address than an empty registry."""
    models = {seen.key for seen in before.facts if seen.key[0] == "model" and seen.content != GONE}
    return bool(models) and not models & {fact.key for fact in facts}


def _place(key: Key) -> tuple[int, Key]:
    return _ORDER[key[0]], key


def _time_us(fact: Fact, last: Seen | None, noticed_us: int) -> int:
    """When what the fact says came about, as far as anybody can tell."""
    if last is None:
        return noticed_us if fact.own_us is None else fact.own_us
    if fact.own_us is not None and fact.own_us > last.time_us:
        return fact.own_us
    return max(noticed_us, last.time_us + 1)


def _gone(seen: Seen, now: Mapping[Key, Fact]) -> Event | None:
    """What is to be said of a fact that is no longer there; None if its version or model says it all."""
    kind, model, version, name = seen.key
    if kind in ("model", "version"):
        return ModelDeleted(model=model, version=version or None, actor_id=NOBODY)
    holder = ("version", model, version, "") if version else ("model", model, 0, "")
    if holder not in now:
        return None
    if kind == "alias":
        return ModelAliasRemoved(model=model, alias=name, actor_id=NOBODY)
    if kind == "tag":
        return ModelTagRemoved(model=model, key=name, version=version or None, actor_id=NOBODY)
    previous = msgspec.convert(seen.value, Stage)
    return ModelStageChanged(
        model=model, version=version, previous_stage=previous, stage=NO_STAGE, actor_id=NOBODY
    )
