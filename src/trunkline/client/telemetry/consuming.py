"""The spans of consuming: `poll` the records, `process` a partition's batch, `commit` its offset.

A batch has many causes, so its span links to where each event was created; only for a single event is that
the parent. While a batch is processed its span is the current one: what the handler does, and what it
publishes, belongs to it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TracerProvider,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from trunkline.client.errors import CommitRefused, KafkaFailed
from trunkline.client.handler import Refusal
from trunkline.client.telemetry import attributes, propagation
from trunkline.client.telemetry.attributes import V1_44, Names
from trunkline.client.telemetry.guard import GuardedSpan, GuardedTracer
from trunkline.client.telemetry.provider import provider_in_use
from trunkline.codec.record import Record

LINKS_MAX: Final = 128
"""As many as OpenTelemetry's SDK keeps by default; a poll of the contract has 100 records at the most."""

FAILURE_EVENT: Final = "event failed"


class ProcessSpan:
    """A batch that is being processed."""

    __slots__ = ("_names", "_span")

    def __init__(self, span: GuardedSpan, names: Names) -> None:
        self._span = span
        self._names = names

    def came_to(self, *, duplicates: int, refused: Sequence[tuple[Record, Refusal]]) -> None:
        """What the batch came to. Of an event that failed the reason is told, never its content."""
        names = self._names
        self._span.set(names.duplicate_count, duplicates)
        self._span.set(names.failure_count, len(refused))
        for record, refusal in refused:
            self._span.add_event(
                FAILURE_EVENT,
                {**_place(record, names), names.failure_reason: refusal.reason},
            )


class ConsumerSpans:
    """Makes the spans of one consumer. For its own thread only."""

    def __init__(self, provider: TracerProvider, *, group: str, client_id: str, names: Names = V1_44) -> None:
        self._tracer = GuardedTracer(provider, schema_url=names.schema_url)
        self._names = names
        self._common: dict[str, AttributeValue] = {
            names.system: attributes.SYSTEM,
            names.group: group,
            names.client_id: client_id,
        }
        self._processed: list[SpanContext] = []

    def polled(self, records: Sequence[Record], *, began_ns: int) -> None:
        """A poll that began at this Unix time in nanoseconds has returned records."""
        span = self._tracer.start(
            _named(attributes.POLL, {record.topic for record in records}),
            Context(),
            SpanKind.CLIENT,
            {
                **self._operation(attributes.POLL, {record.topic for record in records}),
                self._names.message_count: len(records),
            },
            [Link(sent) for _, sent in _sent(records)],
            began_ns=began_ns,
        )
        span.end()

    @contextmanager
    def processing(self, records: Sequence[Record]) -> Iterator[ProcessSpan]:
        """Around one attempt at a batch of one partition, which is not empty."""
        first = records[0]
        alone = len(records) == 1
        names = self._names
        context = propagation.extract(first.headers) if alone else Context()
        details: dict[str, AttributeValue] = {names.partition: str(first.partition)}
        if alone:
            details |= _identity(first, names)
        else:
            details[names.message_count] = len(records)
        span = self._tracer.start(
            f"{attributes.PROCESS} {first.topic}",
            context,
            SpanKind.CONSUMER,
            {**self._operation(attributes.PROCESS, {first.topic}), **details},
            [Link(sent, _place(record, names)) for record, sent in _sent(records)],
        )
        token = attach(span.within(context))
        try:
            with _ended(span, names):
                yield ProcessSpan(span, names)
                if len(self._processed) < LINKS_MAX and (own := span.context) is not None:
                    self._processed.append(own)
        finally:
            detach(token)

    @contextmanager
    def committing(self, offsets: Mapping[tuple[str, int], int]) -> Iterator[None]:
        """Around a commit: a child of the batch that it is for, or linked to each if it is for several."""
        processed, self._processed = self._processed, []
        topics = {topic for topic, _ in offsets}
        context = Context()
        if len(processed) == 1:
            context = set_span_in_context(NonRecordingSpan(processed[0]), context)
        details: dict[str, AttributeValue] = {}
        if len(offsets) == 1:
            ((_, partition), offset) = next(iter(offsets.items()))
            details = {self._names.partition: str(partition), self._names.offset: offset}
        span = self._tracer.start(
            _named(attributes.COMMIT, topics),
            context,
            SpanKind.CLIENT,
            {**self._operation(attributes.COMMIT, topics), **details},
            [Link(one) for one in processed] if len(processed) > 1 else (),
        )
        with _ended(span, self._names):
            yield

    def _operation(self, name: str, topics: set[str]) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {
            **self._common,
            self._names.operation_name: name,
            self._names.operation_type: attributes.OPERATION_TYPES[name],
        }
        if len(topics) == 1:
            found[self._names.destination] = next(iter(topics))
        return found


def spans_of_consumer(provider: TracerProvider | None, *, group: str, client_id: str) -> ConsumerSpans | None:
    """For the provider that was given, else for the process's; None where nothing is traced."""
    used = provider_in_use(provider)
    return None if used is None else ConsumerSpans(used, group=group, client_id=client_id)


def _sent(records: Sequence[Record]) -> Iterator[tuple[Record, SpanContext]]:
    """Records whose headers tell where they were sent, as many as a span may link to."""
    for record in records[:LINKS_MAX]:
        if (sent := propagation.sent_in(record.headers)) is not None:
            yield record, sent


@contextmanager
def _ended(span: GuardedSpan, names: Names) -> Iterator[None]:
    """Ends a span with what is inside; an exception passes through and is named, without its text."""
    try:
        yield
    except BaseException as error:
        span.set(names.error_type, _kind(error))
        span.mark_failed()
        raise
    finally:
        span.end()


def _kind(error: BaseException) -> str:
    if isinstance(error, CommitRefused):
        return error.reason
    return error.code if isinstance(error, KafkaFailed) else type(error).__qualname__


def _named(operation: str, topics: set[str]) -> str:
    """The conventions name a span after its topic only if there is one topic."""
    return f"{operation} {next(iter(topics))}" if len(topics) == 1 else operation


def _place(record: Record, names: Names) -> dict[str, AttributeValue]:
    return {
        names.destination: record.topic,
        names.partition: str(record.partition),
        **_identity(record, names),
    }


def _identity(record: Record, names: Names) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {names.offset: record.offset}
    if record.key is not None:
        found[names.key] = record.key.decode(errors="replace")
    event_id = next((value for name, value in record.headers if name == "ce_id" and value), None)
    if event_id is not None:
        found[names.message_id] = event_id.decode(errors="replace")
    return found
