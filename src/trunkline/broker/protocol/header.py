"""Request and response headers, and the frame around a response.

A frame is a big-endian int32 size and that many bytes; the functions here take and give what follows the
size, except `encode_response`, which gives a whole frame.
"""

from struct import Struct
from struct import error as struct_error
from typing import Final

import msgspec

from trunkline.broker.protocol.codec import encode
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.primitives import Buffer, MalformedMessage, overrun, skip_tags
from trunkline.broker.protocol.registry import API

API_VERSIONS_KEY: Final = 18

_FIXED: Final = Struct(">hhih")
"""API key, API version, correlation id and the length of the client id: the same in header v1 and v2."""

_SIZE_BYTES: Final = 4
_int32: Final = Struct(">i").pack


class RequestHeader(msgspec.Struct, frozen=True):
    """Who asks for what. `body_offset` is where the message begins in the frame.

    For an API key or version outside the registry `body_offset` is that of header v1; the body cannot be
    decoded anyway, but the correlation id is right, so that the refusal reaches the caller.
    """

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_offset: int


def parse_request_header(frame: Buffer) -> RequestHeader:
    """Reads the header that a request frame begins with; raises `MalformedMessage` when there is none."""
    try:
        api_key, api_version, correlation_id, length = _FIXED.unpack_from(frame)
        position = _FIXED.size
        client_id = None
        if length >= 0:
            end = position + length
            if end > len(frame):
                raise overrun(end, len(frame))
            client_id = str(frame[position:end], "utf-8")
            position = end
        elif length != -1:
            raise MalformedMessage(f"request header: the client id has the length {length}")
        declaration = API.get(api_key)
        if (
            declaration is not None
            and declaration.serves(api_version)
            and api_version in declaration.flexible
        ):
            position = skip_tags(frame, position, len(frame))
    except (struct_error, IndexError):
        raise MalformedMessage(f"the frame of {len(frame)} bytes ends inside the request header") from None
    except UnicodeDecodeError:
        raise MalformedMessage("request header: the client id is not UTF-8") from None
    return RequestHeader(api_key, api_version, correlation_id, client_id, position)


def encode_request_header(
    api_key: int, api_version: int, *, correlation_id: int, client_id: str | None = None
) -> bytes:
    """Writes the header that a client puts before a request message (for tests and tools)."""
    name = b"" if client_id is None else client_id.encode()
    fixed = _FIXED.pack(api_key, api_version, correlation_id, -1 if client_id is None else len(name))
    return fixed + name + (b"\0" if api_version in API[api_key].flexible else b"")


def encode_response_header(api_key: int, api_version: int, *, correlation_id: int) -> bytes:
    """Writes the header before a response message.

    ApiVersions always answers with header v0: a client that has not learnt the versions yet must be able to
    read it (KIP-511).
    """
    flexible = api_key != API_VERSIONS_KEY and api_version in API[api_key].flexible
    return _int32(correlation_id) + (b"\0" if flexible else b"")


def encode_response(message: Message, version: int, *, correlation_id: int) -> list[Buffer]:
    """Writes a whole response frame, size included, as a list of chunks; records are not copied."""
    header = encode_response_header(message.api.key, version, correlation_id=correlation_id)
    chunks = encode(message, version, head=bytes(_SIZE_BYTES) + header)
    first = chunks[0]
    assert isinstance(first, bytearray), "the first chunk is the one with the header"
    size = len(first) if len(chunks) == 1 else sum(map(len, chunks))
    first[:_SIZE_BYTES] = _int32(size - _SIZE_BYTES)
    return chunks
