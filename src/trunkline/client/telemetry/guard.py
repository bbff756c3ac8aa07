"""The only place that calls a tracer and its spans, and what they raise ends here.

Samplers and span processors are the application's own, and run inside these calls: on the publisher's path,
and in callbacks of the Kafka library, which an exception would corrupt. An event never waits for its trace,
and never fails with it: what is raised is told once, and the event goes on without the span.
"""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from trunkline import __version__
from trunkline.client.log import Log

_log: Final = Log("trunkline.telemetry")


class Guard:
    """A context manager, to be entered again and again, that ends exceptions. Thread-safe.

    The first one is told and no other: telemetry that fails does so with every event.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told = False

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self._told:
            self._told = True
            _log.error(
                "tracing fails; events go on without it, and this is not told again", error=repr(error)
            )
        return True


class GuardedSpan:
    """One span. No method raises."""

    __slots__ = ("_guard", "_span")

    def __init__(self, span: Span, guard: Guard) -> None:
        self._span = span
        self._guard = guard

    @property
    def recording(self) -> bool:
        """Whether it has not ended yet, and anybody wants to know about it."""
        with self._guard:
            return self._span.is_recording()
        return False

    @property
    def context(self) -> SpanContext | None:
        """What others may link to or have as their parent; None if there is nothing."""
        with self._guard:
            found = self._span.get_span_context()
            return found if found.is_valid else None
        return None

    def within(self, context: Context) -> Context:
        """This context, with the span as the current one."""
        return set_span_in_context(self._span, context)

    def set(self, name: str, value: AttributeValue) -> None:
        """Give it an attribute."""
        with self._guard:
            self._span.set_attribute(name, value)

    def add_event(self, name: str, attributes: Mapping[str, AttributeValue]) -> None:
        """Something happened in it."""
        with self._guard:
            self._span.add_event(name, attributes)

    def mark_failed(self) -> None:
        """What it is about did not succeed."""
        with self._guard:
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """It is over now."""
        with self._guard:
            self._span.end()


class GuardedTracer:
    """Starts the spans of one publisher or consumer. Thread-safe; no method raises."""

    def __init__(self, provider: TracerProvider, *, schema_url: str) -> None:
        self.guard = Guard()
        self._tracer: Tracer = NoOpTracer()
        with self.guard:
            self._tracer = provider.get_tracer("trunkline", __version__, schema_url)

    def start(
        self,
        name: str,
        context: Context,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
        links: Sequence[Link] = (),
        *,
        began_ns: int | None = None,
    ) -> GuardedSpan:
        """A span that began now, or at this Unix time in nanoseconds.

        If it cannot be made, its parent stands in for it, so that the trace goes on.
        """
        with self.guard:
            span = self._tracer.start_span(name, context, kind, attributes, links, start_time=began_ns)
            return GuardedSpan(span, self.guard)
        return GuardedSpan(NonRecordingSpan(get_current_span(context).get_span_context()), self.guard)
