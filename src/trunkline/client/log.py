"""Log lines of the client. That one cannot be written, say to a closed terminal, stops no event.

A line about an event has `tenant`, `event_id`, `topic`, `partition` and `offset`, and never its content: what
is wrong with an event stands in the failure ledger.
"""

import contextlib

import structlog
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from structlog.typing import EventDict, WrappedLogger


def add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: `trace_id` and `span_id` of the current span, if there is one."""
    current = get_current_span().get_span_context()
    if current.is_valid:
        event["trace_id"] = format_trace_id(current.trace_id)
        event["span_id"] = format_span_id(current.span_id)
    return event


class Log:
    """A structured logger that never raises: it is called on threads and from callbacks that must go on."""

    def __init__(self, name: str) -> None:
        self._log = structlog.get_logger(name)

    def info(self, what: str, **fields: object) -> None:
        """Something expected that an operator may want to follow."""
        with contextlib.suppress(Exception):
            self._log.info(what, **fields)

    def warning(self, what: str, **fields: object) -> None:
        """Something that passes by itself."""
        with contextlib.suppress(Exception):
            self._log.warning(what, **fields)

    def error(self, what: str, **fields: object) -> None:
        """Something that somebody should look at."""
        with contextlib.suppress(Exception):
            self._log.error(what, **fields)
