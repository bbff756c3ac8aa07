"""Ways to deliver, one module each. None of them touches the store."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Outcome: TypeAlias = Literal["sent", "retry", "gone", "refused"]
"""Delivered; worth another attempt; the endpoint wants nothing any more; this one can never be delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A notification as it goes to one target. `id` is the delivery's: the same at every attempt."""

    id: str
    notification: str
    tenant: str
    channel: str
    target: str
    kind: str
    rule: str
    title: str
    severity: str
    category: str
    time_us: int
    subject: str
    text: str
    html: str | None = None
    count: int = 1
    items: tuple[dict[str, Any], ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt. `status` is the receiver's code; `detail` one line for people."""

    outcome: Outcome
    status: int | None = None
    detail: str | None = None
    retry_after_s: float | None = None


class Way(Protocol):
    """A channel that is ready to send to one target."""

    def send(self, message: Message) -> Result:
        """Try once, within a bound of time. Raises nothing that the network or the receiver can cause."""
