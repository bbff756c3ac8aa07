"""What the storage says when it refuses. The protocol layer turns these into answers, not into tracebacks.

Refused             a request was refused whole; `error` is the protocol's code, `message` the reason
├── AppendRefused   by a partition log
└── TopicRefused    by the topics registry
OffsetOutOfRange    a read or deletion outside the log
LogStopped          a sync failed; the partition is closed to everything new until a restart
"""

from typing import Final

from trunkline.broker.protocol.errors import ErrorCode


class Refused(Exception):  # noqa: N818 - reads as what it is
    """Nothing of the request was done."""

    def __init__(self, error: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


class AppendRefused(Refused):
    """Nothing of the request was appended."""


class TopicRefused(Refused):
    """No topic was created, changed or deleted."""


class OffsetOutOfRange(Exception):  # noqa: N818 - reads as what it is
    """The offset lies before the start of the log or after its end."""

    def __init__(self, offset: int, *, log_start_offset: int, log_end_offset: int) -> None:
        super().__init__(f"offset {offset} is not in {log_start_offset}..{log_end_offset}")
        self.offset = offset
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset


class LogStopped(Exception):  # noqa: N818 - reads as what it is
    """A sync failed: what the device holds is unknown until a restart reads it, so nothing more is taken."""

    told: Final = "a sync of this partition failed; it takes no more records until the broker is restarted"
    """What a client may know of it: no path of this machine."""
