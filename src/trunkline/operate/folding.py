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
    """A copy in which every list of distinctly named items is `Folded`.

    The ACLs of a KafkaUser become one item for each right, whose name says it in words: their order and
    grouping say nothing.
    """
    made: dict[str, Any] = _folded(manifest)
    if manifest.get("kind") == "KafkaUser":
        spec = made.get("spec")
        authorization = spec.get("authorization") if isinstance(spec, dict) else None
        if isinstance(authorization, dict) and isinstance(authorization.get("acls"), list):
            authorization["acls"] = Folded(_rights(authorization["acls"]))
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


def _rights(acls: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for acl in acls:
        operations = acl.get("operations") if isinstance(acl, dict) else None
        if not isinstance(operations, list) or not isinstance(acl.get("resource"), dict):
            yield json.dumps(acl, sort_keys=True), acl
            continue
        for operation in operations:
            yield _words(acl, str(operation)), {**acl, "operations": [operation]}


def _words(acl: Mapping[str, Any], operation: str) -> str:
    resource = acl["resource"]
    name, pattern = resource.get("name"), resource.get("patternType", PATTERN_DEFAULT)
    of = f"{resource.get('type')}" if name is None else f"{resource.get('type')} {name}"
    rest = {field: acl.get(field, usual) for field, usual in ACL_DEFAULTS.items()}
    unusual = [f"{field} {value}" for field, value in rest.items() if value != ACL_DEFAULTS[field]]
    if name is not None and pattern != PATTERN_DEFAULT:
        of += "*" if pattern == "prefix" else f" ({pattern})"
    return " ".join([operation, "on", of, *unusual])
