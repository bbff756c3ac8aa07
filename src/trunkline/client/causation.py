"""What an event hands on to an event that follows from it."""

from typing import TypedDict

from trunkline.catalogue.events import Event
from trunkline.codec.envelope import Envelope


class Cause(TypedDict):
    """Context attributes of a consequence."""

    causationid: str
    correlationid: str | None
    traceparent: str | None


def caused_by(cause: Envelope[Event]) -> Cause:
    """The context of a consequence, for `Publisher.publish` and `new_envelope`.

    The cause is named, its correlation id is kept, and so is the trace in which the chain of events began.
    The id is not derived: a handler that may run again should add `id=derive_id(…)`.
    """
    return {
        "causationid": cause.id,
        "correlationid": cause.correlationid,
        "traceparent": cause.traceparent,
    }
