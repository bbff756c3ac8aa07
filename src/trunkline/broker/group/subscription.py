"""The one thing the broker reads in a consumer's metadata: which topics it is subscribed to."""

import struct
from typing import Final

_HEAD: Final = struct.Struct(">hi")
_LENGTH: Final = struct.Struct(">h")


def subscribed_topics(metadata: bytes) -> set[str]:
    """The topics in a ConsumerProtocolSubscription of any version, up to the first nonsense if it is none."""
    topics: set[str] = set()
    try:
        _, count = _HEAD.unpack_from(metadata, 0)
        position = _HEAD.size
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(metadata, position)
            position += _LENGTH.size
            if length < 0 or position + length > len(metadata):
                break
            topics.add(metadata[position : position + length].decode())
            position += length
    except (struct.error, UnicodeDecodeError):
        return topics
    return topics
