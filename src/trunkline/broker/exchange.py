"""What the sockets' side and the protocol's side of the broker say to each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from trunkline.broker.pending import Pending

Chunks: TypeAlias = Sequence[bytes | bytearray | memoryview]
"""A response frame, length prefix included, in pieces, so that record bytes are never copied together."""


class CloseConnection(Exception):  # noqa: N818 - control flow: says what the server does with the peer
    """The peer asked for something that only a closed connection answers; the text says what, for the log."""


@dataclass(slots=True)
class Session:
    """One connection as the protocol's side knows it. Authentication puts its principal here."""

    peer: str
    """`address:port` of the other end."""
    client_id: str | None = None

    @property
    def host(self) -> str:
        """The address of the other end, as group administration shows it."""
        return "/" + self.peer.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Deferred:
    """An answer to come. Unless `pipelined`, the connection's next request waits for it, as in Kafka."""

    value: Pending[Any]
    encode: Callable[[Any], Chunks]
    """Makes the answer of the value."""
    pipelined: bool


Answer: TypeAlias = Chunks | Deferred | None
"""A response, or a promise of one, or None when the request wants no response."""


class Dispatcher(Protocol):
    """What a frame means."""

    def dispatch(self, frame: memoryview, session: Session) -> Answer:
        """Carry out the request in `frame`, which the callee may keep.

        Raises `CloseConnection` when there is no way to answer it.
        """
