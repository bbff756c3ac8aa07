"""Lists whose items have names, as mappings by these names, so that each item is compared with its own.

An API server keeps the order of such lists, and others may add items to them. `unfolded` gives the lists
back.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

NAMES: Final = ("name", "id", "alert")
"""The fields that tell items apart: of containers and listeners, of volumes of brokers, of alerts."""

ACLS: Final = ("spec", "authorization", "acls")
ACL_DEFAULTS: Final = {"host": "*", "type": "allow"}
PATTERN_DEFAULT: Final = "literal"
"""What Strimzi takes for a field that an ACL does not have."""


class Folded(dict[str, Any]):
    """A list as a mapping of its items."""


def folded(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which every list of distinctly named items is `Folded`, and a null is a field not there.

    The ACLs of a KafkaUser become one item for each right, whose name says it in words: their order and
    grouping say nothing.
    """
    manifest = _without_null(manifest)
    made: dict[str, Any] = _folded(manifest)
    acls = _acls(manifest) if manifest.get("kind") == "KafkaUser" else None
    if acls is not None:
        made["spec"]["authorization"]["acls"] = Folded(_rights(acls))
    return made


def unfolded(value: Any) -> Any:
    """The same with lists for what was folded."""
    if isinstance(value, Folded):
        return [unfolded(item) for item in value.values()]
    if isinstance(value, Mapping):
        return {name: unfolded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unfolded(item) for item in value]
    return value


def _without_null(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_null(inner) for name, inner in value.items() if inner is not None}
    return [_without_null(item) for item in value] if isinstance(value, list) else value


def _folded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _folded(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = [_folded(item) for item in value]
        names = _names(items)
        return items if names is None else Folded(zip(names, items, strict=True))
    return value


def _names(items: Sequence[Any]) -> list[str] | None:
    """What tells the items apart; None where nothing does."""
    for field in NAMES:
        if items and all(isinstance(item, dict) and field in item for item in items):
            names = [str(item[field]) for item in items]
            return names if len(set(names)) == len(names) else None
    return None


def _acls(user: Mapping[str, Any]) -> list[Any] | None:
    """None for a user that has no list of them."""
    inner: Any = user
    for name in ACLS:
        inner = inner.get(name) if isinstance(inner, Mapping) else None
    return inner if isinstance(inner, list) else None


def _rights(acls: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for acl in acls:
        if _is_acl(acl):
            for operation in acl["operations"]:
                yield _words(acl, operation), _folded({**acl, "operations": [operation]})
        else:
            yield json.dumps(acl, sort_keys=True), _folded(acl)


def _is_acl(acl: Any) -> bool:
    """Whether it can be put in words; what is in a file may be anything."""
    if not isinstance(acl, dict) or not isinstance(acl.get("resource"), dict):
        return False
    operations = acl.get("operations")
    return isinstance(operations, list) and all(isinstance(one, str) for one in operations)


def _words(acl: Mapping[str, Any], operation: str) -> str:
    resource = acl["resource"]
    name, pattern = resource.get("name"), resource.get("patternType", PATTERN_DEFAULT)
    of = f"{resource.get('type')}" if name is None else f"{resource.get('type')} {name}"
    rest = {field: acl.get(field, usual) for field, usual in ACL_DEFAULTS.items()}
    unusual = [f"{field} {value}" for field, value in rest.items() if value != ACL_DEFAULTS[field]]
    if name is not None and pattern != PATTERN_DEFAULT:
        of += "*" if pattern == "prefix" else f" ({pattern})"
    return " ".join([operation, "on", of, *unusual])
