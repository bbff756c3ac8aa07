"""What goes over the wire and what comes back: two types, because only the latter has a position."""

from typing import TypeAlias

import msgspec

Headers: TypeAlias = list[tuple[str, bytes]]


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """An event ready for a Kafka producer. A struct, because one is built for every event that is sent."""

    key: bytes
    value: bytes
    headers: Headers


# Hidden from the garbage collector, as is every struct that exists once for each event: what it holds cannot
# refer back to it.
class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as read from a topic; nobody has said yet that it is an event. `timestamp_ms` is Unix time."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
