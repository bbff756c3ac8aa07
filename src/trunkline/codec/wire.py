"""What is constant per event type on the wire, prepared once per type."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trunkline.catalogue.events import EVENT_TYPES, Event, EventDeclaration, declaration_of
from trunkline.catalogue.names import EventType, TopicName
from trunkline.codec.attributes import SPEC_VERSION
from trunkline.codec.errors import InvalidData, Undecodable

CONTENT_TYPE: Final = "application/json"
SPEC_VERSION_HEADER: Final = ("ce_specversion", SPEC_VERSION.encode())
CONTENT_TYPE_HEADER: Final = ("content-type", CONTENT_TYPE.encode())


@dataclass(frozen=True, slots=True)
class WireType:
    """One event type as the codec needs it on its hot path."""

    type: EventType
    topic: TopicName
    type_header: tuple[str, bytes]
    decoder: msgspec.json.Decoder[Any]

    def read(self, value: bytes) -> Event:
        """The data in this JSON. Raises `Undecodable` if it is none, `InvalidData` if the schema says no."""
        try:
            data: Event = self.decoder.decode(value)
        except msgspec.ValidationError as error:
            raise InvalidData(f"{self.type}: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Undecodable(f"{self.type}: the value is not JSON: {error}") from error
        return data


# Filled on first use, so that a type declared after this module was imported works too.
_by_class: Final[dict[type[Event], WireType]] = {}
_by_header: Final[dict[bytes, WireType]] = {}


def wire_of_class(cls: type[Event]) -> WireType:
    """How events of this class travel. Raises TypeError for a class without `@event`."""
    return _by_class.get(cls) or _prepare(declaration_of(cls))


def wire_of_header(raw: bytes) -> WireType | None:
    """How the type in this header travels, or None for a type that nobody declared."""
    found = _by_header.get(raw)
    if found is None:
        declaration = EVENT_TYPES.get(EventType(raw.decode("utf-8", "replace")))
        found = _prepare(declaration) if declaration is not None else None
    return found


def _prepare(declaration: EventDeclaration) -> WireType:
    wire = WireType(
        type=declaration.type,
        topic=declaration.topic,
        type_header=("ce_type", declaration.type.encode()),
        decoder=msgspec.json.Decoder(declaration.cls),
    )
    _by_class[declaration.cls] = _by_header[wire.type_header[1]] = wire
    return wire
