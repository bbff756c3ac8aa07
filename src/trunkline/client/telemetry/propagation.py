"""Trace context in the headers of records.

Two things are told apart. The protocol headers `traceparent`, `tracestate` and `baggage` belong to one hop:
they are what OpenTelemetry reads, in the format that the process has configured, W3C unless told otherwise.
The event's own attribute `ce_traceparent` is its origin, where it was first published (CloudEvents,
"Distributed Tracing"): a replay and an event derived from it keep it.

What strangers wrote into these headers fails no event: what cannot be read is no context.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trunkline.catalogue.events import Event
from trunkline.codec.envelope import Envelope
from trunkline.codec.record import Headers

ORIGIN: Final = "ce_traceparent"
_TRACEPARENT: Final = "traceparent"
_TRACESTATE: Final = "tracestate"

# What everybody writes today; the library's own reading of it takes many times as long.
_VERSION_00: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_FLAGS: Final = {f"{flags:02x}": TraceFlags(flags) for flags in range(256)}

ReadHeaders: TypeAlias = Sequence[tuple[str, bytes | None]]

_w3c: Final = TraceContextTextMapPropagator()


class _RecordSetter(Setter[Headers]):
    def set(self, carrier: Headers, key: str, value: str) -> None:
        carrier.append((key, value.encode()))


class _RecordGetter(Getter[ReadHeaders]):
    def get(self, carrier: ReadHeaders, key: str) -> list[str] | None:
        found = [value.decode(errors="replace") for name, value in carrier if name == key and value]
        return found or None

    def keys(self, carrier: ReadHeaders) -> list[str]:
        return [name for name, _ in carrier]


_setter: Final = _RecordSetter()
_getter: Final = _RecordGetter()


def inject(headers: Headers, context: Context) -> None:
    """Append the protocol headers of this context."""
    propagate.inject(headers, context, setter=_setter)


def extract(headers: ReadHeaders) -> Context:
    """What the record's last hop wrote, or what its origin did; an empty context if neither can be read."""
    try:
        context = propagate.extract(headers, Context(), getter=_getter)
    except Exception:  # noqa: BLE001 - a propagator that stumbles over a stranger's header may not fail an event
        context = Context()
    if span_context_in(context) is not None:
        return context
    origin = next((value for name, value in headers if name == ORIGIN and value), b"")
    found = parse(origin.decode(errors="replace"))
    return context if found is None else set_span_in_context(NonRecordingSpan(found), context)


def span_context_in(context: Context) -> SpanContext | None:
    """The span of a context, None if it has none."""
    found = get_current_span(context).get_span_context()
    return found if found.is_valid else None


def sent_in(headers: ReadHeaders) -> SpanContext | None:
    """The span that `extract` finds, for a link; much faster where there is only a `traceparent`."""
    told = dict(reversed(headers))  # Of several the first counts, as in `_RecordGetter`.
    if _TRACESTATE not in told and (raw := told.get(_TRACEPARENT)) is not None:
        found = parse(raw.decode(errors="replace"))
        if found is not None:
            return found
    return span_context_in(extract(headers))


def parse(traceparent: str | None) -> SpanContext | None:
    """A `traceparent` alone (W3C Trace Context, section 3.2), None if it is not one."""
    if not traceparent:
        return None
    if (told := _VERSION_00.fullmatch(traceparent)) is None:
        return span_context_in(_w3c.extract({_TRACEPARENT: traceparent}, Context()))
    found = SpanContext(int(told[1], 16), int(told[2], 16), is_remote=True, trace_flags=_FLAGS[told[3]])
    return found if found.is_valid else None


def traceparent_of(context: SpanContext) -> str:
    """The reverse of `parse`."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, set_span_in_context(NonRecordingSpan(context), Context()))
    return carrier[_TRACEPARENT]


def in_current_trace(envelope: Envelope[Event]) -> Envelope[Event]:
    """For an event that is stored now and published later, such as by an outbox.

    Without an origin it has the span that this thread or task is in; outside of any span it stays as it is.
    """
    if envelope.traceparent is not None:
        return envelope
    current = get_current_span().get_span_context()
    if not current.is_valid:
        return envelope
    return msgspec.structs.replace(envelope, traceparent=traceparent_of(current))
