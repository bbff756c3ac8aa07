"""CloudEvents as JSON lines: one event in the JSON event format (CloudEvents 1.0.2) a line."""

from collections.abc import Generator
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.names import EventType
from trunkline.codec import CodecError, Envelope, Record, decode
from trunkline.errors import InvalidInput
from trunkline.sources.bad import BadInput

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Far above what a message may hold; a longer line is skipped without being held in memory."""

_HEADERS: Final = (("content-type", b"application/cloudevents+json"),)


class _Routing(msgspec.Struct):
    """The two attributes that say where an event goes."""

    type: str
    tenantid: str


_routing: Final = msgspec.json.Decoder(_Routing)


def read_events(path: Path) -> Generator[Envelope[Event] | BadInput, None, None]:
    """The events of a file in their order; a line that is not one of the contract comes as `BadInput`.

    Raises `InvalidInput` if the file cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot read it ({error.strerror}); give a file of JSON lines") from error
    with file:
        number = 0
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
                    pass
                yield BadInput(path, number, f"the line is longer than {LINE_BYTES_MAX} bytes")
            elif line.strip():
                yield _event(path, number, line)


def _event(path: Path, number: int, line: bytes) -> Envelope[Event] | BadInput:
    """The line as if it had come over the wire: an import takes what a consumer would take."""
    try:
        routing = _routing.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return BadInput(path, number, f"not a CloudEvent: {error}")
    declaration = EVENT_TYPES.get(EventType(routing.type))
    if declaration is None:
        return BadInput(path, number, f"nobody declared the event type {routing.type[:80]!r}")
    key = routing.tenantid.encode(errors="replace")
    record = Record(declaration.topic, 0, number, 0, key, line.strip(), _HEADERS)
    try:
        return decode(record)
    except CodecError as error:
        return BadInput(path, number, str(error))
