"""JSON Schema 2020-12 of every event type, for teams in other languages."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from trunkline.catalogue.events import EVENT_TYPES, EventDeclaration

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def event_schema(declaration: EventDeclaration) -> dict[str, Any]:
    """The self-contained schema of one event type's data, with its example.

    It describes readers: members that it does not name are allowed, because a newer publisher may add some.
    """
    (root,), definitions = msgspec.json.schema_components([declaration.cls], ref_template="#/$defs/{name}")
    own = definitions.pop(str(root["$ref"]).rpartition("/")[2])
    schema = {
        "$schema": DIALECT,
        "$id": schema_id(declaration),
        **own,
        "title": declaration.type,
        "examples": [dict(declaration.example)],
    }
    if definitions:
        schema["$defs"] = definitions
    # As JSON has it: lists, not tuples.
    as_json: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schema))
    return as_json


def schema_id(declaration: EventDeclaration) -> str:
    """A URN: the schema has a name everywhere and a place only where somebody exported it."""
    return f"urn:trunkline:event:{declaration.type}"


def event_schemas(
    declarations: Iterable[EventDeclaration] | None = None,
) -> Mapping[str, dict[str, Any]]:
    """The schemas by event type, sorted."""
    chosen = EVENT_TYPES.values() if declarations is None else declarations
    return {item.type: event_schema(item) for item in sorted(chosen, key=lambda item: item.type)}
