"""CustomResourceDefinitions as strict judges: unknown fields refused, and their CEL rules evaluated.

An API server validates a resource against its CRD's schema and then *drops* every field that the schema does
not know, without a word. Here such a field is a problem. CEL rules are those of `x-kubernetes-validations`; a
rule that cannot be evaluated, because a field that it reads is missing, has failed, as on the server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import cel
import yaml
from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # ships no types

Json: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[str | int, ...]

RULES: Final = "x-kubernetes-validations"
FREE: Final = "x-kubernetes-preserve-unknown-fields"
LIST_TYPE: Final = "x-kubernetes-list-type"
LIST_KEYS: Final = "x-kubernetes-list-map-keys"

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Judge:
    """One kind in one version, by its CRD."""

    schema: Json
    validator: Draft4Validator

    def violations(self, manifest: Json) -> Iterator[tuple[Place, str]]:
        """Everything about the manifest that the CRD refuses or does not know: where, and what."""
        for error in self.validator.iter_errors(manifest):
            yield tuple(error.absolute_path), error.message
        yield from _broken_rules(manifest, self.schema, ())


def judges(directory: Path) -> Mapping[tuple[str, str], Judge]:
    """A judge for every version that a CRD below the directory serves, by `apiVersion` and kind."""
    return _read(directory.resolve())


@cache
def _read(directory: Path) -> Mapping[tuple[str, str], Judge]:
    found: dict[tuple[str, str], Judge] = {}
    for file in sorted(directory.rglob("*.yaml")):
        for document in yaml.load_all(file.read_text(encoding="utf-8"), Loader=_LOADER):
            if document is not None and document.get("kind") == "CustomResourceDefinition":
                spec = document["spec"]
                for version in spec["versions"]:
                    if version["served"]:
                        key = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
                        schema = version["schema"]["openAPIV3Schema"]
                        # OpenAPI 3.0, whose `exclusiveMinimum` is a flag as in draft 4.
                        found[key] = Judge(schema, Draft4Validator(_strict(schema)))
    return MappingProxyType(found)


def _strict(schema: Json) -> Json:
    """The schema in which an object has no fields but those declared. `metadata` is left to the caller."""
    closed = _closed(schema)
    closed["properties"]["metadata"] = {"type": "object"}
    return closed


def _closed(schema: Json) -> Json:
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if "items" in schema:
        made["items"] = _closed(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _closed(schema["additionalProperties"])
    if schema.get("type") == "object":
        properties = schema.get("properties") or {}  # Written as an empty key by some.
        made["properties"] = {name: _closed(inner) for name, inner in properties.items()}
        if not schema.get(FREE):
            made.setdefault("additionalProperties", False)
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, made]}
    return made


def _broken_rules(value: Any, schema: Json, at: Place) -> Iterator[tuple[Place, str]]:
    for rule in schema.get(RULES, ()):
        if not _holds(rule["rule"], value):
            yield at, rule.get("message", f"breaks the rule {rule['rule']}")
    if isinstance(value, list):
        yield from _repeated(value, schema, at)
        for place, item in enumerate(value):
            yield from _broken_rules(item, schema.get("items", {}), (*at, place))
    elif isinstance(value, dict):
        properties = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        for name, inner in value.items():
            known = properties.get(name, others)
            if isinstance(known, dict):
                yield from _broken_rules(inner, known, (*at, name))


def _holds(rule: str, value: Any) -> bool:
    try:
        return cel.evaluate(rule, {"self": value}) is True
    except (KeyError, RuntimeError, TypeError, ValueError):
        return False


def _repeated(items: list[Any], schema: Json, at: Place) -> Iterator[tuple[Place, str]]:
    """Items that a server-side apply could not tell apart, which the API server refuses."""
    kind = schema.get(LIST_TYPE)
    seen: list[Any] = []
    for place, item in enumerate(items):
        if kind == "map" and isinstance(item, dict):
            key: Any = {name: item.get(name) for name in schema[LIST_KEYS]}
        elif kind == "set":
            key = item
        else:
            return
        if key in seen:
            yield (*at, place), f"duplicate of an earlier item: {key}"
        seen.append(key)
