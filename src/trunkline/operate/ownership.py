"""Which fields of a resource `trunkline apply` has set: told by the API server's own notes.

An apply takes away what an earlier one had set and this one does not mention. So a field that is ours by
these notes, and that the catalogue does not have any more, is a difference like any other.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from trunkline.operate.folding import Folded

FIELD_MANAGER: Final = "trunkline"
"""The name that our applies are noted with."""

Fields: TypeAlias = Mapping[str, Any]
"""A `fieldsV1` tree: `f:NAME` of a mapping's field, `k:{…}` of a list's item by its keys, `.` for itself."""

NO_FIELDS: Final[Fields] = {}


def applied_fields(found: Mapping[str, Any]) -> Fields:
    """What our applies have set; nothing in a manifest that comes from a file."""
    for entry in found["metadata"].get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation")) == (FIELD_MANAGER, "Apply"):
            fields: Fields = entry.get("fieldsV1") or NO_FIELDS
            return fields
    return NO_FIELDS


def is_applied(fields: Fields, name: str, inside: Mapping[str, Any]) -> bool:
    """Whether the field or item `name` of a folded value is ours; `fields` are those of the value itself."""
    key = _key(fields, name, inside)
    return key is not None and (not isinstance(inside, Folded) or "." in fields[key])


def fields_below(fields: Fields, name: str, inside: Mapping[str, Any]) -> Fields:
    """What is ours below the field or item `name` of a folded value."""
    key = _key(fields, name, inside)
    below: Fields = NO_FIELDS if key is None else fields[key]
    return below


def _key(fields: Fields, name: str, inside: Mapping[str, Any]) -> str | None:
    if not isinstance(inside, Folded):
        return f"f:{name}" if f"f:{name}" in fields else None
    item = inside.get(name)
    return next((key for key in fields if key.startswith("k:") and _is_of(item, key)), None)


def _is_of(item: Any, key: str) -> bool:
    """Whether an item has the values of `k:{"containerPort":8080,"protocol":"TCP"}`."""
    wanted: dict[str, Any] = msgspec.json.decode(key.removeprefix("k:"))
    return isinstance(item, dict) and all(item.get(name) == value for name, value in wanted.items())
