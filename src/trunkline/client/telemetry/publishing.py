"""The span of publishing one event: from `publish` to its outcome, not merely to the queue.

Its parent is the span that the caller is in; without one, the event's origin, so that an event that a relay
takes from an outbox continues the trace of the transaction that stored it. Where both are known and differ,
the origin becomes a link.
"""

from typing import Final

import msgspec
from opentelemetry.context import Context, get_current
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanKind,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from trunkline.catalogue.events import Event
from trunkline.client.delivery import Delivered, Outcome
from trunkline.client.errors import DeliveryRejected
from trunkline.client.telemetry import attributes, propagation
from trunkline.client.telemetry.attributes import V1_44, Names
from trunkline.client.telemetry.guard import GuardedSpan, GuardedTracer
from trunkline.client.telemetry.provider import provider_in_use
from trunkline.codec.envelope import Envelope
from trunkline.codec.record import Encoded

REJECTED: Final = "rejected"
UNKNOWN: Final = "unknown"
"""Outcomes as `error.type`, where the protocol gives no name of its own."""


class SendSpan:
    """One event on its way. `end` may be called from any thread; the first call counts."""

    __slots__ = ("_names", "_span")

    def __init__(self, span: GuardedSpan, names: Names) -> None:
        self._span = span
        self._names = names

    def end(self, outcome: Outcome) -> None:
        """The event has its outcome."""
        if not self._span.recording:
            return
        if isinstance(outcome, Delivered):
            self._span.set(self._names.partition, str(outcome.partition))
            self._span.set(self._names.offset, outcome.offset)
            self._span.end()
        elif isinstance(outcome, DeliveryRejected):
            self.fail(outcome.code or REJECTED)
        else:
            self.fail(UNKNOWN)

    def fail(self, kind: str) -> None:
        """The event was refused before it was sent, or not delivered; `kind` becomes `error.type`."""
        self._span.set(self._names.error_type, kind)
        self._span.mark_failed()
        self._span.end()


class PublisherSpans:
    """Makes the spans of one publisher. Thread-safe."""

    def __init__(self, provider: TracerProvider, *, client_id: str, names: Names = V1_44) -> None:
        self._tracer = GuardedTracer(provider, schema_url=names.schema_url)
        self._names = names
        self._common: dict[str, AttributeValue] = {
            names.system: attributes.SYSTEM,
            names.operation_name: attributes.SEND,
            names.operation_type: attributes.OPERATION_TYPES[attributes.SEND],
            names.client_id: client_id,
        }

    def start(
        self, topic: str, envelope: Envelope[Event], encoded: Encoded
    ) -> tuple[SendSpan, Envelope[Event]]:
        """Begin to send this event, and append the trace to its headers.

        An event without an origin has this span as its origin from now on, also when it is published again:
        the envelope that is returned says so. A span of an event that was not accepted need not end.
        """
        context, links = _around(envelope.traceparent)
        names = self._names
        span = self._tracer.start(
            f"{attributes.SEND} {topic}",
            context,
            SpanKind.PRODUCER,
            {
                **self._common,
                names.destination: topic,
                names.message_id: envelope.id,
                names.key: envelope.tenantid,
                names.event_type: envelope.type,
                names.event_source: envelope.source,
            },
            links,
        )
        if envelope.traceparent is None and (own := span.context) is not None:
            origin = propagation.traceparent_of(own)
            encoded.headers.append((propagation.ORIGIN, origin.encode()))
            envelope = msgspec.structs.replace(envelope, traceparent=origin)
        with self._tracer.guard:
            propagation.inject(encoded.headers, span.within(context))
        return SendSpan(span, names), envelope


def spans_of_publisher(provider: TracerProvider | None, *, client_id: str) -> PublisherSpans | None:
    """For the provider that was given, else for the process's; None where nothing is traced."""
    used = provider_in_use(provider)
    return None if used is None else PublisherSpans(used, client_id=client_id)


def _around(traceparent: str | None) -> tuple[Context, tuple[Link, ...]]:
    """The context to send an event in, and what to link to."""
    context = get_current()
    origin = propagation.parse(traceparent)
    if origin is None:
        return context, ()
    current = get_current_span(context).get_span_context()
    if not current.is_valid:
        return set_span_in_context(NonRecordingSpan(origin), context), ()
    return context, (Link(origin),) if origin.span_id != current.span_id else ()
