"""Arbitrary valid events, drawn from the declared constraints, and the envelope around the examples."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
import msgspec.inspect as mi
import pytest
from hypothesis import strategies as st

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.names import EventType, TenantId
from trunkline.codec import Encoded, Envelope, Record, new_envelope

EventStrategy: TypeAlias = Callable[[str], st.SearchStrategy[Event]]
ExampleOf: TypeAlias = Callable[[str], Envelope[Event]]
RecordOf: TypeAlias = Callable[..., Record]

SAFE_INTEGER = 2**53 - 1

# JSON text cannot carry lone surrogates.
CHARACTERS = st.characters(codec="utf-8")
TEXT = st.text(CHARACTERS, max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE_INTEGER, SAFE_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def values_of(kind: mi.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one answer per kind of type
    """Values that msgspec decodes as this type."""
    match kind:
        case mi.StrType(min_length=low, max_length=high, pattern=pattern):
            return texts(low, high, pattern)
        case mi.IntType(ge=low, le=high):
            return st.integers(low if low is not None else -SAFE_INTEGER, high or SAFE_INTEGER)
        case mi.FloatType(ge=low, le=high):
            return st.floats(low, high, allow_nan=False, allow_infinity=False)
        case mi.BoolType():
            return st.booleans()
        case mi.DateTimeType():
            return st.datetimes(timezones=st.just(UTC))
        case mi.LiteralType(values=values):
            return st.sampled_from(values)
        case mi.UnionType(types=types):
            return st.one_of([values_of(item) for item in types])
        case mi.NoneType():
            return st.none()
        case mi.AnyType():
            return JSON
        case mi.VarTupleType(item_type=item):
            return st.lists(values_of(item), max_size=3).map(tuple)
        case mi.DictType(key_type=key, value_type=value):
            return st.dictionaries(values_of(key), values_of(value), max_size=3)
        case mi.Metadata(type=inner):
            return values_of(inner)
        case _:
            raise AssertionError(f"no strategy for {kind}")


def texts(low: int | None, high: int | None, pattern: str | None) -> st.SearchStrategy[str]:
    if pattern is None:
        return st.text(CHARACTERS, min_size=low or 0, max_size=min(high or 24, 24))
    matching = st.from_regex(re.compile(pattern))
    return matching.filter(lambda text: high is None or len(text) <= high)


def events_of(event_type: str) -> st.SearchStrategy[Event]:
    """Valid events of this type."""
    cls = EVENT_TYPES[EventType(event_type)].cls
    info = mi.type_info(cls)
    assert isinstance(info, mi.StructType)
    required = {field.name: values_of(field.type) for field in info.fields if field.required}
    optional = {field.name: values_of(field.type) for field in info.fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: cls(**fields))


@pytest.fixture(scope="session")
def valid_events() -> EventStrategy:
    return events_of


def example_of(event_type: str) -> Envelope[Event]:
    """The declared example of a type, in an envelope with every attribute set."""
    declaration = EVENT_TYPES[EventType(event_type)]
    return new_envelope(
        msgspec.convert(dict(declaration.example), declaration.cls),
        tenant=TenantId("acme"),
        source="//golden/1",
        time=datetime(2026, 11, 23, 7, 0, 0, 250_000, UTC),
        id="018f4e2a-0000-7000-8000-00000000002a",
        subject="subject-1",
        correlationid="corr-1",
        causationid="cause-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        extensions={"dataclassification": "internal"},
    )


@pytest.fixture(scope="session")
def example() -> ExampleOf:
    return example_of


@pytest.fixture(scope="session")
def as_record() -> RecordOf:
    """What a consumer reads after a producer sent this."""

    def build(encoded: Encoded, topic: str) -> Record:
        return Record(topic, 0, 7, 1_700_000_000_000, encoded.key, encoded.value, tuple(encoded.headers))

    return build
