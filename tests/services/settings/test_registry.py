"""What can be set, and to what."""

from typing import Annotated, Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidInput
from trunkline.services.settings.registry import Definition, Registry, check, registry


class Meter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    unit: str
    factor: Annotated[int, msgspec.Meta(ge=1)] = 1


def _even(meter: Meter, key: str) -> None:
    if meter.factor % 2 and meter.factor != 1:
        raise ValueError(f"the factor of {key.rpartition('.')[2]} is odd")


METER: Final = Definition("billing.meters.*", Meter, levels=("global",), title="A meter", check=_even)
EXACT: Final[Definition[str]] = Definition(
    "billing.meters.main", str, levels=("global", "tenant"), title="The one"
)
REGISTRY: Final = Registry([METER, EXACT])


def refused(key: str, level: Any, value: Any) -> str:
    with pytest.raises(InvalidInput) as raised:
        REGISTRY.check(key, level, value)
    return str(raised.value)


def test_a_value_of_the_type_is_accepted_and_read() -> None:
    REGISTRY.check("billing.meters.tokens", "global", {"unit": "1", "factor": 4})
    assert METER.read("billing.meters.tokens", {"unit": "1"}) == Meter(unit="1")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"factor": 2}, "billing.meters.tokens: Object missing required field `unit`"),
        ({"unit": "1", "factor": 0}, "`int` >= 1"),
        ({"unit": "1", "extra": 0}, "unknown field `extra`"),
        ({"unit": "1", "factor": 3}, "billing.meters.tokens: the factor of tokens is odd"),
        (7, "Expected `object`, got `int`"),
    ],
)
def test_a_bad_value_is_refused_with_key_and_reason(value: Any, reason: str) -> None:
    assert reason in refused("billing.meters.tokens", "global", value)


def test_a_level_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    assert "cannot be set on the level tenant; it can on global" in refused(
        "billing.meters.tokens", "tenant", {"unit": "1"}
    )


def test_the_definition_with_the_fewest_stars_holds() -> None:
    assert REGISTRY.find("billing.meters.main") is EXACT
    assert REGISTRY.find("billing.meters.other") is METER


@pytest.mark.parametrize("key", ["billing.meter.tokens", "billing.meters", "billing.meters.a.b"])
def test_an_unknown_key_under_a_reserved_word_is_refused_with_near_matches(key: str) -> None:
    said = refused(key, "global", 1)
    assert "is no setting of the platform" in said
    assert "; did you mean" in said
    assert "billing.meters.*" in said


def test_a_key_under_a_word_of_ones_own_takes_any_json() -> None:
    for value in (None, 1, "text", [1, {"a": []}]):
        REGISTRY.check("export.rows_max", "tenant", value)


@pytest.mark.parametrize("key", ["", "Upper.case", "a..b", "a.", "ü.b", "a\n", "a" * 201])
def test_what_is_no_key_is_refused(key: str) -> None:
    assert "for instance query.timeout_ms" in refused(key, "global", 1)


def test_two_definitions_of_one_pattern_are_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"billing\.meters\.\* is defined twice"):
        Registry([METER, METER])


def test_every_module_defines_what_can_be_found_under_a_reserved_word() -> None:
    for definition in registry():
        example = definition.pattern.replace("*", "a")
        assert registry().find(example) is definition
        assert definition.levels
        assert definition.title
    check("query.timeout_ms", "tenant", 30_000)
    with pytest.raises(InvalidInput, match=r"query\.timeout_ms: Expected `int` <= 86400000"):
        check("query.timeout_ms", "tenant", 10**12)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_is_no_meter_is_refused(value: Any) -> None:
    assert refused("billing.meters.x", "global", value).startswith("billing.meters.x: ")
