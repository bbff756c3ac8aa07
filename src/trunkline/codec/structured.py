"""Structured content mode: the whole event as one JSON document (CloudEvents 1.0.2, JSON event format)."""

from typing import Final

import msgspec

from trunkline.codec.errors import InvalidAttribute, Undecodable

ATTRIBUTES_MAX: Final = 64
"""Bounds the members of the document before any of them is looked at."""

_JSON_FORMAT: Final = b"application/cloudevents+json"

_document: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scalar: Final = msgspec.json.Decoder(str | int | bool | None)


def unfold(content_type: bytes, value: bytes | None) -> tuple[bytes | None, bytes | None, dict[str, bytes]]:
    """The data's content type, the data's bytes and the attributes, as binary mode would have carried them.

    Raises `Undecodable` for another format or a broken document, `InvalidAttribute` for an attribute that is
    not a text, an integer or a boolean. A member that is null is absent, as the format says.
    """
    if content_type.partition(b";")[0].strip().lower() != _JSON_FORMAT:
        shown = content_type[:80].decode("utf-8", "replace")
        raise Undecodable(f"the event format {shown!r} is not {_JSON_FORMAT.decode()}")
    if value is None:
        raise Undecodable("the value is null; a structured event is a JSON document")
    try:
        members = _document.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"the event is not a JSON document: {error}") from error
    if len(members) > ATTRIBUTES_MAX:
        raise InvalidAttribute(f"the event has {len(members)} members; at most {ATTRIBUTES_MAX} are allowed")
    if "data_base64" in members:
        raise Undecodable("the event has data_base64; data of this contract is JSON, in `data`")
    data = members.pop("data", None)
    attributes: dict[str, bytes] = {}
    for name, raw in members.items():
        text = _attribute(name, raw)
        if text is not None:
            attributes[name] = text
    data_content_type = attributes.pop("datacontenttype", None)
    return data_content_type, bytes(data) if data is not None else None, attributes


def _attribute(name: str, raw: msgspec.Raw) -> bytes | None:
    try:
        value = _scalar.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidAttribute(f"{name[:80]!r} is not a text, an integer or a boolean") from error
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode()
