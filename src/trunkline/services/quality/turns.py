"""Which events of a tenant still count, each at its turn. Pure.

What is too old is so behind the newest event *before it*, not behind that of a batch: the same events come to
the same however they are divided.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from trunkline.catalogue.events import Event
from trunkline.codec import Envelope
from trunkline.services.quality.course import LATE_MAX_US
from trunkline.services.quality.facts import Fact, fact_of, to_us


@dataclass(frozen=True, slots=True)
class Told:
    """An event that counts, what it says about assets, and the tenant's newest fact when it has come."""

    envelope: Envelope[Event]
    fact: Fact | None
    newest_us: int

    @property
    def at_us(self) -> int:
        return to_us(self.envelope.time)


def in_turn(events: Iterable[Envelope[Event]], newest_us: int) -> list[Told]:
    """The events that are not too old, in order; `newest_us` is the time of the newest fact before them.

    As in a `Course`, only facts move the time.
    """
    told = []
    for envelope in events:
        at_us = to_us(envelope.time)
        if at_us < newest_us - LATE_MAX_US:
            continue
        fact = fact_of(envelope)
        if fact is not None:
            newest_us = max(newest_us, at_us)
        told.append(Told(envelope, fact, newest_us))
    return told
