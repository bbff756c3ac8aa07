"""What log lines say about events, and what they keep to themselves."""

import json
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from trunkline.client.handler import Refusal
from trunkline.client.log import Log, add_trace_ids
from trunkline.client.store import failures
from trunkline.client.telling import about, loggable
from trunkline.codec.record import Record


@pytest.fixture
def lines() -> Iterator[StringIO]:
    """JSON log lines as `trunkline service --json` writes them."""
    written = StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[add_trace_ids, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(file=written),
        cache_logger_on_first_use=False,
    )
    yield written
    structlog.configure(**before)


def test_a_line_says_whose_event_it_is_and_where() -> None:
    record = Record("t", 2, 5, 0, b"acme", b"{}", (("ce_id", b"i-1"), ("ce_tenantid", b"acme")))
    assert about(record) == {
        "tenant": "acme",
        "event_id": "i-1",
        "topic": "t",
        "partition": 2,
        "offset": 5,
    }
    nameless = Record("t", 2, 5, 0, None, None, (("ce_id", None),))
    assert (about(nameless)["tenant"], about(nameless)["event_id"]) == (None, None)


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (Refusal(failures.HANDLER, "ValueError: card 4111"), "ValueError"),
        (
            Refusal("invalid_data", "a.v1: Invalid enum value 'it's 4111' - at `$.plan`"),
            "a.v1: Invalid enum value - at `$.plan`",
        ),
        (Refusal("invalid_data", "a.v1: Invalid enum value '4111'"), "a.v1: Invalid enum value"),
        (Refusal("missing_header", "record without ce_id on t"), "record without ce_id on t"),
    ],
)
def test_what_is_wrong_is_logged_without_what_is_in_the_event(refusal: Refusal, told: str) -> None:
    assert loggable(refusal) == told


def test_a_line_within_a_span_names_its_trace(lines: StringIO) -> None:
    log = Log("test")
    log.warning("outside")
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("test").start_as_current_span("process") as span:
        log.warning("inside", tenant="acme")
    outside, inside = (json.loads(line) for line in lines.getvalue().splitlines())
    assert set(outside) == {"event"}
    assert inside["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert inside["span_id"] == f"{span.get_span_context().span_id:016x}"
