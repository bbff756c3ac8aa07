"""Trace headers, ours and strangers'."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from trunkline.client.telemetry import propagation
from trunkline.codec.record import Headers

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = "00-11111111111111111111111111111111-2222222222222222-00"


def test_the_headers_of_a_hop_come_back_as_they_were_sent() -> None:
    sent = SpanContext(
        trace_id=7,
        span_id=9,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "value")]),
    )
    headers: Headers = []
    context = set_span_in_context(NonRecordingSpan(sent), baggage.set_baggage("plan", "gold", Context()))
    propagation.inject(headers, context)
    assert [name for name, _ in headers] == ["traceparent", "tracestate", "baggage"]
    read = propagation.extract(headers)
    found = propagation.span_context_in(read)
    assert found is not None
    assert (found.trace_id, found.span_id, found.trace_flags) == (7, 9, 1)
    assert found.trace_state == sent.trace_state
    assert baggage.get_baggage("plan", read) == "gold"


def test_the_hop_comes_before_the_origin_and_the_origin_before_nothing() -> None:
    both: list[tuple[str, bytes | None]] = [
        (propagation.ORIGIN, ORIGIN.encode()),
        ("traceparent", TRACEPARENT.encode()),
    ]
    assert_read(both, TRACEPARENT)
    assert_read([(propagation.ORIGIN, ORIGIN.encode()), ("traceparent", b"00-nonsense")], ORIGIN)
    assert propagation.span_context_in(propagation.extract([])) is None


def assert_read(headers: list[tuple[str, bytes | None]], traceparent: str) -> None:
    found = propagation.span_context_in(propagation.extract(headers))
    assert found is not None
    assert propagation.traceparent_of(found) == traceparent
    assert propagation.sent_in(headers) == found


@given(st.text(max_size=80), st.none() | st.text(max_size=80))
def test_what_is_no_traceparent_is_no_context(text: str, other: str | None) -> None:
    for value in (text, other):
        found = propagation.parse(value)
        assert found is None or found.is_valid


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["traceparent", "tracestate", "baggage", "ce_traceparent", "x"]),
            st.none()
            | st.binary(max_size=64)
            | st.sampled_from([TRACEPARENT.encode(), b"a=1,a=1,=", b"%zz=%", b"k=v;p=\xff"]),
        ),
        max_size=8,
    )
)
def test_no_header_that_a_stranger_can_write_raises(headers: list[tuple[str, bytes | None]]) -> None:
    assert propagation.sent_in(headers) == propagation.span_context_in(propagation.extract(headers))


@given(st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}( |-x)?", fullmatch=True))
def test_the_fast_reading_agrees_with_the_library(traceparent: str) -> None:
    library = TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())
    assert propagation.parse(traceparent) == propagation.span_context_in(library)
