"""What a handler is, what it is told and what it may answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from trunkline.broker.broker import Broker
from trunkline.broker.exchange import Session
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.registry import API, ApiDeclaration


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler knows about a request besides its message."""

    version: int
    session: Session
    handlers: "Mapping[int, Handler]"
    """Everything this broker serves, by API key."""


Response: TypeAlias = Message | bytes | Pending[Message] | None
"""The response, plain or encoded in the call's version, or a promise of it, or None when none is wanted."""


@dataclass(frozen=True, slots=True)
class Handler:
    """One API as this broker serves it.

    With `pipelined` the connection's next request is carried out while this one's answer is pending. That is
    for answers that wait for the disk only; one that waits for somebody else mutes its connection, as in
    Kafka.
    """

    request: type[Message]
    handle: Callable[[Broker, Any, Call], Response]
    pipelined: bool = False

    @property
    def declaration(self) -> ApiDeclaration:
        """Key, name and versions."""
        return API[self.request.api.key]
