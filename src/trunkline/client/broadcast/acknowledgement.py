"""What an instance says about itself on `BROADCAST_POSITIONS`: how far it is and what that added up to.

The record's key is `service/instance`, its value JSON. Readers ignore members they do not know; a change they
would misread raises `format`.
"""

from datetime import datetime
from typing import Final

import msgspec

from trunkline.catalogue.events.fields import Instant
from trunkline.codec.record import Encoded, Record

FORMAT: Final = 1

ACKNOWLEDGE_SECONDS: Final = 5.0
"""How often an instance repeats itself; three times that without a word and it counts as gone."""


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """One instance at one moment.

    `positions` are the next offsets by partition, `digest` that of the state up to there. `rejected` counts
    what could not be applied since the instance started, and `last_rejected` says where and why.
    """

    service: str
    instance: str
    topic: str
    topic_id: str
    positions: dict[int, int]
    digest: str
    entries: int
    rejected: int
    last_rejected: str | None
    stale: bool
    stopped: bool
    at: Instant
    format: int = FORMAT

    @property
    def name(self) -> str:
        """`service/instance`."""
        return f"{self.service}/{self.instance}"


_decoder: Final = msgspec.json.Decoder(Acknowledgement)


def encode_acknowledgement(said: Acknowledgement) -> Encoded:
    """The record to write."""
    return Encoded(said.name.encode(), msgspec.json.encode(said), [])


def decode_acknowledgement(record: Record) -> Acknowledgement | None:
    """What a record says, None for one that is not of this format."""
    try:
        said = _decoder.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return said if said.format == FORMAT else None


def age_seconds(said: Acknowledgement, now: datetime) -> float:
    """How long ago it was said, by the clocks of both machines; never negative."""
    return max(0.0, (now - said.at).total_seconds())
