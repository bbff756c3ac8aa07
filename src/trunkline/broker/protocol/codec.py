"""Bytes to messages and back.

A coder is compiled on the first use of a message version and kept; importing this compiles nothing.
"""

from collections.abc import Callable
from struct import error as struct_error
from typing import Any, TypeVar

from trunkline.broker.protocol.layout import Layout
from trunkline.broker.protocol.notation import Message, Versions
from trunkline.broker.protocol.primitives import Buffer, MalformedMessage

__all__ = ["Buffer", "MalformedMessage", "decode", "encode", "encode_bytes"]

M = TypeVar("M", bound=Message)

_decoders: dict[tuple[type[Message], int], Callable[[Buffer], Any]] = {}
_encoders: dict[tuple[type[Message], int], Callable[[Any, bytearray], list[Buffer]]] = {}


def decode(cls: type[M], version: int, buffer: Buffer) -> M:
    """Reads the message that `buffer` begins with; what follows it is ignored.

    Records come out as slices of `buffer`, which must stay unchanged as long as they are used; everything
    else is copied. Raises `MalformedMessage` for any bytes that are not such a message, and `ValueError` for
    a version that is not declared. No allocation is larger than the buffer justifies.
    """
    decoder = _decoders.get((cls, version))
    if decoder is None:
        decoder = _compiled_decoder(cls, version)
    try:
        return decoder(buffer)  # type: ignore[no-any-return]  # compiled for exactly this class
    except MalformedMessage as error:
        raise MalformedMessage(f"{cls.__name__} v{version}: {error}") from None
    except (IndexError, struct_error):
        raise MalformedMessage(
            f"{cls.__name__} v{version}: the message of {len(buffer)} bytes ends early"
        ) from None
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"{cls.__name__} v{version}: a string is not UTF-8: {error.reason}") from None


def encode(message: Message, version: int, *, head: bytes = b"") -> list[Buffer]:
    """Writes a message as a list of chunks; the records in it are chunks of their own and never copied.

    `head` is put before the message in the first chunk, which is always a bytearray. Fields that the version
    does not have are left out. A value of the wrong type or out of its range is a programmer's error and
    raises whatever Python raises.
    """
    cls = type(message)
    encoder = _encoders.get((cls, version))
    if encoder is None:
        encoder = _compiled_encoder(cls, version)
    return encoder(message, bytearray(head))


def encode_bytes(message: Message, version: int) -> bytes:
    """Writes a message as one piece."""
    return b"".join(encode(message, version))


def _layout(cls: type[Message], version: int) -> Layout:
    if version not in Versions.parse(cls.api.versions):
        raise ValueError(f"{cls.__name__} has versions {cls.api.versions}, not {version}")
    return Layout(cls, version, flexible=version in Versions.parse(cls.api.flexible))


# The compilers are imported with the first message, so that `trunkline broker --help` does not pay for them.
def _compiled_decoder(cls: type[Message], version: int) -> Callable[[Buffer], Any]:
    from trunkline.broker.protocol.decoder import compile_decoder

    decoder = _decoders[cls, version] = compile_decoder(_layout(cls, version))
    return decoder


def _compiled_encoder(cls: type[Message], version: int) -> Callable[[Any, bytearray], list[Buffer]]:
    from trunkline.broker.protocol.encoder import compile_encoder

    encoder = _encoders[cls, version] = compile_encoder(_layout(cls, version))
    return encoder
