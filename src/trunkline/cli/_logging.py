"""Where log lines go: standard error, so that standard output stays what a program may read.

A start that fails is one mistake, and its error is one line: what the log has to say until the start is
decided can be held back, and is dropped if the error says it all.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

import structlog
import typer

from trunkline.client.log import Log, add_trace_ids
from trunkline.errors import TrunklineError

HELD_MAX: Final = 1_000
"""Lines; the oldest go first. A start takes seconds."""

ENDED: Final = "ended"
"""The event of the line, where lines are JSON, that says why the program ends."""


class Lines:
    """Standard error, as the log writes to it. Thread-safe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._held: deque[str] | None = None
        self._timer: threading.Timer | None = None

    def hold(self, seconds: float) -> None:
        """Write nothing until `release`, or until so much time has passed."""
        with self._lock:
            self._held = deque(maxlen=HELD_MAX)
            self._timer = threading.Timer(seconds, self.release)
            self._timer.daemon = True
            self._timer.start()

    def release(self) -> None:
        """Write what is held, and hold nothing more. Safe to call at any time."""
        with self._lock:
            for text in self._let_go():
                self._stream.write(text)
                self._stream.flush()

    def drop(self) -> None:
        """Forget what is held, and hold nothing more."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> Iterable[str]:
        held, self._held = self._held, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return held or ()

    def write(self, text: str) -> None:
        """Called by the log, line by line."""
        with self._lock:
            if self._held is not None:
                self._held.append(text)
            else:
                self._stream.write(text)

    def flush(self) -> None:
        """Called by the log behind each line."""
        with self._lock:
            self._stream.flush()


class _Ours(logging.Handler):
    """Takes what libraries log, above all the Kafka library, into the one log that there is."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        structlog.get_logger().log(record.levelno, record.getMessage(), **fields)


def log_to_stderr(*, as_json: bool) -> Lines:
    """For people, or one JSON object a line; what libraries have to say is among it."""
    lines = Lines(sys.stderr)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            add_trace_ids,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(file=lines),  # type: ignore[arg-type]  # all that it calls
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Ours()], level=logging.WARNING)
    return lines


@contextmanager
def keeping_a_log(*, as_json: bool) -> Iterator[Lines]:
    """Around a command that runs until it is stopped, so that its last word is like the others before it.

    An error drops what is held, and ends as a line of JSON where the log is one; its exit code stays.
    """
    lines = log_to_stderr(as_json=as_json)
    try:
        yield lines
    except TrunklineError as error:
        lines.drop()
        if not as_json:
            raise
        Log("trunkline.cli").error(ENDED, error=str(error), exit_code=error.exit_code)
        raise typer.Exit(error.exit_code) from error
    finally:
        lines.release()
