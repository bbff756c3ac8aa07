"""Compares two schemas of one event type, under full compatibility.

Within a version, a consumer of the new contract must read the old events, which are still in the log, and a
consumer of the old contract must read the new ones. So a constraint may become neither tighter nor looser;
what may come and go are optional members.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trunkline.catalogue.changes import Severity

LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
NESTED: Final = ("items", "additionalProperties", "propertyNames")
SPECIAL: Final = ("properties", "required", "enum", "anyOf", "type", "$defs")

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference of two schemas; `message` begins with the JSON path of the member."""

    severity: Severity
    code: str
    message: str


def compare_schemas(
    old: Mapping[str, Any], new: Mapping[str, Any], *, path: str = "$"
) -> Iterator[Difference]:
    """Every difference that a publisher or a consumer could notice."""
    if old.get("type") != new.get("type"):
        was, now = old.get("type", "any"), new.get("type", "any")
        yield _breaking("type_changed", f"{path} was of type {was} and is of type {now}")
        return
    yield from _members(old, new, path)
    yield from _enumeration(old, new, path)
    yield from _alternatives(old, new, path)
    for keyword in sorted((old.keys() | new.keys()) - set(SPECIAL)):
        before, after = old.get(keyword, _ABSENT), new.get(keyword, _ABSENT)
        if before == after:
            continue
        if keyword in NESTED and isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from compare_schemas(
                before, after, path=f"{path}[{keyword}]" if keyword != "items" else f"{path}[]"
            )
        else:
            yield _keyword(keyword, before, after, path)
    for name in sorted(old.get("$defs", {}).keys() & new.get("$defs", {}).keys()):
        yield from compare_schemas(old["$defs"][name], new["$defs"][name], path=f"{path}/{name}")


def _members(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    before, after = old.get("properties", {}), new.get("properties", {})
    was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(before.keys() | after.keys()):
        member = f"{path}.{name}"
        if name not in after:
            if name in was_required:
                yield _breaking("required_field_removed", f"{member} was required and is gone")
            else:
                yield _compatible("optional_field_removed", f"{member} was optional and is gone")
        elif name not in before:
            if name in is_required:
                yield _breaking("required_field_added", f"{member} is new and required; old events lack it")
            else:
                yield _compatible("optional_field_added", f"{member} is new and optional")
        else:
            if name in is_required - was_required:
                yield _breaking("field_became_required", f"{member} was optional and is required")
            elif name in was_required - is_required:
                yield _breaking("field_became_optional", f"{member} was required and is optional")
            yield from compare_schemas(before[name], after[name], path=member)


def _enumeration(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    if "enum" not in old or "enum" not in new:
        if "enum" in old or "enum" in new:
            yield _breaking(
                "enum_changed", f"{path} {'is no longer' if 'enum' in old else 'became'} an enumeration"
            )
        return
    removed = [value for value in old["enum"] if value not in new["enum"]]
    added = [value for value in new["enum"] if value not in old["enum"]]
    if removed:
        yield _breaking("enum_value_removed", f"{path} no longer allows {_shown(removed)}")
    if added:
        yield _breaking(
            "enum_value_added", f"{path} newly allows {_shown(added)}, which old consumers refuse"
        )


def _alternatives(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    """Alternatives are matched by what kind of value they take: an optional text stays an optional text."""
    before = {_kind(item): item for item in old.get("anyOf", ())}
    after = {_kind(item): item for item in new.get("anyOf", ())}
    if before.keys() != after.keys():
        was, now = " or ".join(before) or "one kind", " or ".join(after) or "one kind"
        yield _breaking("type_changed", f"{path} was {was} and is {now}")
        return
    for kind, alternative in before.items():
        yield from compare_schemas(alternative, after[kind], path=path)


def _keyword(keyword: str, before: Any, after: Any, path: str) -> Difference:
    was = "absent" if before is _ABSENT else before
    now = "absent" if after is _ABSENT else after
    change = f"{path} {keyword} was {was} and is {now}"
    if keyword.startswith("x-"):
        return _compatible("note_changed", change)
    if keyword in LOWER_BOUNDS or keyword in UPPER_BOUNDS:
        tightened = after is not _ABSENT and (
            before is _ABSENT or (after > before if keyword in LOWER_BOUNDS else after < before)
        )
        if tightened:
            return _breaking("constraint_tightened", f"{change}; old events may break it")
        return _breaking("constraint_loosened", f"{change}; old consumers may refuse new events")
    if keyword == "default":
        return _breaking("default_changed", f"{change}; events without it change their meaning")
    return _breaking("constraint_changed", change)


def _kind(alternative: Mapping[str, Any]) -> str:
    return str(
        alternative.get("type") or alternative.get("$ref") or ("enum" if "enum" in alternative else "any")
    )


def _shown(values: list[Any]) -> str:
    return ", ".join(repr(value) for value in values)


def _breaking(code: str, message: str) -> Difference:
    return Difference("breaking", code, message)


def _compatible(code: str, message: str) -> Difference:
    return Difference("compatible", code, message)
