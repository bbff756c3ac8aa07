"""A running broker: state, dispatcher and sockets put together, started and stopped in the right order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from trunkline.broker.api.registry import HANDLERS
from trunkline.broker.broker import Broker, Settings
from trunkline.broker.connection import DEFAULT_LIMITS, Limits
from trunkline.broker.dispatch import ApiDispatcher
from trunkline.broker.log.fs import Fs
from trunkline.broker.server import Server

DRAIN_S: Final = 5.0
"""How long a stop waits for answers that are owed, before the connections are cut."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Running:
    """A broker that clients can connect to."""

    listening: Address
    broker: Broker
    server: Server


@asynccontextmanager
async def running(
    fs: Fs,
    settings: Settings,
    *,
    listen: Address,
    advertised: Address | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[Running]:
    """Run a broker on this loop. It answers from the first line of the body on.

    The end of the body stops it cleanly: no new connections, answers that are owed, everything on disk, the
    clean mark. Raises what `Broker` and `Server.listen` raise.
    """
    broker = Broker(fs, settings)
    try:
        server = Server(ApiDispatcher(broker, HANDLERS), limits=limits)
        port = await server.listen(listen.host, listen.port)
        listening = Address(listen.host, port)
        told = advertised or listening
        broker.advertise(told.host, told.port or port)
        try:
            yield Running(listening, broker, server)
        finally:
            server.stop_accepting()
            broker.release()
            await server.closed(timeout_s=DRAIN_S)
    finally:
        await broker.close()
