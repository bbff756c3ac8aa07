"""OpenTelemetry spans of publishing and consuming, and the trace headers of records.

Only OpenTelemetry's interface is used. Whether to trace is decided once, when a publisher or a consumer is
made: without a tracer provider then, given or configured in the process, nothing is traced or paid.
"""

from trunkline.client.telemetry.attributes import V1_44, V1_45, Names
from trunkline.client.telemetry.consuming import ConsumerSpans, spans_of_consumer
from trunkline.client.telemetry.propagation import in_current_trace
from trunkline.client.telemetry.provider import provider_in_use
from trunkline.client.telemetry.publishing import PublisherSpans, SendSpan, spans_of_publisher

__all__ = [
    "V1_44",
    "V1_45",
    "ConsumerSpans",
    "Names",
    "PublisherSpans",
    "SendSpan",
    "in_current_trace",
    "provider_in_use",
    "spans_of_consumer",
    "spans_of_publisher",
]
