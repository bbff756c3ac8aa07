"""The contract as one canonical JSON document: what a later contract is compared with.

The packaged snapshot is committed with the code; `trunkline contract export --snapshot` records a new one. It
holds what binds publishers and consumers and leaves out what does not: descriptions, titles and examples.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import field

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.events import EVENT_TYPES, EventDeclaration
from trunkline.catalogue.file import read_file
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.catalogue.names import EventType
from trunkline.catalogue.schema import event_schema
from trunkline.catalogue.schema_diff import LOWER_BOUNDS, NESTED, UPPER_BOUNDS
from trunkline.errors import InvalidInput

FORMAT: Final = 1
"""Raised when the layout changes, so that an old command refuses a newer file instead of misreading it."""

FILE_BYTES_MAX: Final = 16_777_216

ANNOTATIONS: Final = frozenset({"$schema", "$id", "title", "description", "examples"})


class TopicPart(msgspec.Struct, frozen=True, kw_only=True):
    """One topic, as recorded."""

    publisher: str
    consumers: tuple[str, ...]
    partitions: dict[str, int]


class EventPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event type, as recorded: its topic and the binding part of its schema.

    `retired` holds the schemas of members that earlier contracts had. Events with them are still in the log,
    so such a name never comes back with another meaning.
    """

    topic: str
    schema: dict[str, Any]
    retired: dict[str, Any] = field(default_factory=dict)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A whole contract, as recorded. `environments` holds each environment's settings by name."""

    format: int
    services: tuple[str, ...]
    environments: dict[str, dict[str, Any]]
    topics: dict[str, TopicPart]
    events: dict[str, EventPart]


def take_snapshot(
    catalogue: Catalogue,
    declarations: Mapping[EventType, EventDeclaration] = EVENT_TYPES,
    *,
    after: Snapshot | None = None,
) -> Snapshot:
    """The contract as it is now. What the snapshot `after` which it comes had retired stays retired."""
    recorded = {} if after is None else after.events
    return Snapshot(
        format=FORMAT,
        services=tuple(sorted(catalogue.services)),
        environments={
            name: _environment_part(environment) for name, environment in catalogue.environments.items()
        },
        topics={
            name: TopicPart(
                publisher=topic.publisher,
                consumers=tuple(sorted(topic.consumers)),
                partitions=dict(topic.partitions),
            )
            for name, topic in catalogue.topics.items()
        },
        events={item.type: _event_part(item, recorded.get(item.type)) for item in declarations.values()},
    )


def _environment_part(environment: Environment) -> dict[str, Any]:
    """What the environment promises, and of its cluster what can never be changed in place."""
    part: dict[str, Any] = msgspec.to_builtins(replace(environment, cluster=None))
    del part["cluster"]
    if environment.cluster is not None:
        part["cluster"] = {
            "name": environment.cluster.name,
            "namespace": environment.cluster.namespace,
            "quorum": _quorum(environment, environment.cluster),
        }
    return part


def _quorum(environment: Environment, cluster: Cluster) -> str:
    """How many nodes vote, and what roles they have in Kafka's words."""
    if cluster.controllers:
        return f"{cluster.controllers} x controller"
    return f"{environment.brokers} x broker,controller"


def _event_part(declaration: EventDeclaration, before: EventPart | None) -> EventPart:
    schema = _binding(event_schema(declaration))
    earlier = {} if before is None else {**before.retired, **before.schema.get("properties", {})}
    retired = {name: member for name, member in earlier.items() if name not in schema["properties"]}
    return EventPart(topic=declaration.topic, schema=schema, retired=retired)


def render_snapshot(snapshot: Snapshot) -> bytes:
    """Canonical bytes: keys sorted, two spaces, one final line feed; equal contracts have equal bytes."""
    compact = msgspec.json.encode(snapshot, order="deterministic")
    return msgspec.json.format(compact, indent=2) + b"\n"


def parse_snapshot(raw: bytes, *, file: str) -> Snapshot:
    """The snapshot in these bytes. Raises `InvalidInput` naming the file."""
    try:
        snapshot = msgspec.json.decode(raw, type=Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"{file} is not a contract snapshot: {error}; `trunkline contract export` writes one"
        ) from error
    if snapshot.format != FORMAT:
        raise InvalidInput(
            f"{file} has snapshot format {snapshot.format}; this version reads format {FORMAT}"
        )
    for name, part in snapshot.events.items():
        if not all(_is_schema(schema) for schema in (part.schema, *part.retired.values())):
            raise InvalidInput(f"{file} holds no readable schema for {name}")
    return snapshot


def _is_schema(node: Any) -> bool:
    """Whether the keywords that a comparison descends into have the shape that JSON Schema gives them."""
    return isinstance(node, dict) and all(
        keyword not in _SHAPES or _SHAPES[keyword](value) for keyword, value in node.items()
    )


def _is_schema_or_flag(value: Any) -> bool:
    return isinstance(value, bool) or _is_schema(value)


def _are_named_schemas(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


def _are_schemas(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_schema, value))


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


_SHAPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "properties": _are_named_schemas,
    "$defs": _are_named_schemas,
    "anyOf": _are_schemas,
    "required": _are_names,
    "enum": _is_list,
    **dict.fromkeys(NESTED, _is_schema_or_flag),
    **dict.fromkeys((*LOWER_BOUNDS, *UPPER_BOUNDS), _is_number),
}


def load_snapshot(path: Path | None = None) -> Snapshot:
    """The snapshot in the file, or the packaged one. Raises `InvalidInput` for a file that cannot be used."""
    chosen = packaged_snapshot_path() if path is None else path
    raw = read_file(chosen, "the snapshot", bytes_max=FILE_BYTES_MAX)
    return parse_snapshot(raw, file=str(chosen))


def packaged_snapshot_path() -> Path:
    """Where the committed snapshot lies in this installation."""
    return Path(str(files("trunkline.catalogue").joinpath("contract.snapshot.json")))


def _binding(schema: Any) -> Any:
    """The schema without annotation keywords. A property that happens to be called `title` is none."""
    if isinstance(schema, list):
        return [_binding(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in ("properties", "$defs"):
            kept[keyword] = {name: _binding(part) for name, part in value.items()}
        elif keyword in ("default", "enum", "const"):
            kept[keyword] = value
        elif keyword not in ANNOTATIONS:
            kept[keyword] = _binding(value)
    return kept
