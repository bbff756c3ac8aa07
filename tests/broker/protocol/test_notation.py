import types
import typing
from collections.abc import Iterator

import pytest

from trunkline.broker.protocol.notation import (
    Field,
    Message,
    Struct,
    Versions,
    array,
    int16,
    int32,
    string,
)
from trunkline.broker.protocol.registry import API


class Part(Struct):
    size: int = int32()


class Example(Message, key=1, versions="1-3", flexible="2+"):
    late: int = int16(versions="2+", default=3)
    parts: list[Part] = array(Part)
    note: str | None = string(nullable="1+", default=None)


def every_structure() -> Iterator[type[Struct]]:
    waiting: list[type[Struct]] = [cls for api in API.values() for cls in (api.request, api.response)]
    while waiting:
        cls = waiting.pop()
        yield cls
        waiting += [
            field.element
            for field in cls.wire.values()
            if field.element is not None and not isinstance(field.element, str)
        ]


STRUCTURES = list(dict.fromkeys(every_structure()))
PYTHON_TYPES: dict[str, type] = {"boolean": bool, "uuid": bytes, "blob": bytes, "string": str}


def python_type(kind: str) -> type:
    return int if kind.startswith("int") else PYTHON_TYPES[kind]


def expected_annotation(field: Field) -> object:
    if field.kind == "array":
        item = python_type(field.element) if isinstance(field.element, str) else field.element
        return types.GenericAlias(list, (item,))
    return field.element if field.kind == "struct" else python_type(field.kind)


@pytest.mark.parametrize("cls", STRUCTURES)
def test_an_annotation_says_what_the_wire_says(cls: type[Struct]) -> None:
    for name, field in cls.wire.items():
        annotation = typing.get_type_hints(cls)[name]
        members = (
            set(typing.get_args(annotation)) if isinstance(annotation, types.UnionType) else {annotation}
        )
        assert (types.NoneType in members) == bool(field.nullable), name
        if field.kind != "records":
            assert members - {types.NoneType} == {expected_annotation(field)}, name


@pytest.mark.parametrize("cls", [cls for api in API.values() for cls in (api.request, api.response)])
def test_a_field_that_some_version_lacks_has_a_default(cls: type[Message]) -> None:
    served = Versions.parse(cls.api.versions)
    for name, field in cls.wire.items():
        carried = Versions.parse(field.versions)
        everywhere = all(version in carried for version in range(served.first, served.last + 1))
        assert everywhere or field.optional, name


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("3", [3], [2, 4]), ("3-7", [3, 7], [2, 8]), ("3+", [3, 32767], [2]), ("", [], [0, 1])],
)
def test_a_range_holds_both_its_ends(text: str, inside: list[int], outside: list[int]) -> None:
    versions = Versions.parse(text)
    assert all(version in versions for version in inside)
    assert not any(version in versions for version in outside)


def test_fields_keep_wire_order_though_required_ones_come_first_in_the_constructor() -> None:
    assert list(Example.wire) == ["late", "parts", "note"]
    assert Example.__struct_fields__ == ("parts", "late", "note")
    assert Example(parts=[Part(size=1)]) == Example(late=3, parts=[Part(size=1)], note=None)


def test_a_required_field_cannot_be_left_out() -> None:
    with pytest.raises(TypeError, match="parts"):
        Example()  # type: ignore[call-arg]  # the point of the test


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Example(parts=[]).late = 4
