"""Connections: answers in order, limits kept, garbage and silence closed, a stop that owes nobody."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from trunkline.broker.connection import DEFAULT_LIMITS, PIPELINE_MAX, Limits
from trunkline.broker.exchange import Answer, CloseConnection, Deferred, Session
from trunkline.broker.pending import Pending
from trunkline.broker.server import Server
from trunkline.errors import Unavailable

DEADLINE_S = 10.0


def framed(*pieces: bytes) -> list[bytes]:
    return [struct.pack(">i", sum(map(len, pieces))), *pieces]


class Script:
    """A dispatcher whose requests begin with what they want done to them."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.promised: list[tuple[bytes, Pending[bytes]]] = []
        self.arrived = asyncio.Event()

    def dispatch(self, frame: memoryview, session: Session) -> Answer:  # noqa: ARG002 - the port's signature
        body = bytes(frame)
        self.seen.append(body)
        self.arrived.set()
        wish, _, _ = body.partition(b" ")
        if wish == b"echo":
            return framed(b"<", body, b">")
        if wish in (b"later", b"pipeline"):
            promise: Pending[bytes] = Pending()
            self.promised.append((body, promise))
            return Deferred(promise, framed, pipelined=wish == b"pipeline")
        if wish == b"big":
            return framed(b"head", bytes(8_000_000))
        if wish == b"crash":
            raise ZeroDivisionError
        if wish == b"close":
            raise CloseConnection("as it wished")
        return None

    async def seen_count(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.seen) < count:
                self.arrived.clear()
                await self.arrived.wait()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *bodies: bytes) -> None:
        self.writer.write(b"".join(struct.pack(">i", len(body)) + body for body in bodies))

    async def receive(self) -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            (size,) = struct.unpack(">i", await self.reader.readexactly(4))
            return await self.reader.readexactly(size)

    async def closed(self) -> bool:
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def serving(limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[tuple[Server, Script, Connect]]:
    script = Script()
    server = Server(script, limits=limits)
    port = await server.listen("127.0.0.1", 0)
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return clients[-1]

    try:
        yield server, script, connect
    finally:
        for client in clients:
            client.writer.close()
        server.stop_accepting()
        await server.closed(timeout_s=0.5)


def test_answers_come_back_in_the_order_of_the_requests() -> None:
    async def run() -> None:
        async with serving() as (_, script, connect):
            client = await connect()
            client.send(b"pipeline 1", b"pipeline 2", b"echo no. 3")
            await script.seen_count(3)
            for body, promise in reversed(script.promised):
                promise.resolve(body)
            assert [await client.receive() for _ in range(3)] == [
                b"pipeline 1",
                b"pipeline 2",
                b"<echo no. 3>",
            ]

    asyncio.run(run())


def test_a_request_waits_for_the_answer_before_it_unless_that_one_is_pipelined() -> None:
    async def run() -> None:
        async with serving() as (_, script, connect):
            client = await connect()
            client.send(b"later on", b"echo after")
            await script.seen_count(1)
            other = await connect()
            other.send(b"echo from another connection")
            await other.receive()
            assert script.seen == [b"later on", b"echo from another connection"]
            script.promised[0][1].resolve(b"now")
            assert [await client.receive(), await client.receive()] == [b"now", b"<echo after>"]

    asyncio.run(run())


def test_pipelining_is_bounded() -> None:
    async def run() -> None:
        async with serving() as (_, script, connect):
            client = await connect()
            client.send(*(b"pipeline %d" % number for number in range(PIPELINE_MAX + 5)))
            await script.seen_count(PIPELINE_MAX)
            assert len(script.seen) == PIPELINE_MAX
            for body, promise in tuple(script.promised):
                promise.resolve(body)
            await script.seen_count(PIPELINE_MAX + 5)

    asyncio.run(run())


def test_a_request_without_an_answer_takes_no_place() -> None:
    async def run() -> None:
        async with serving() as (_, _, connect):
            client = await connect()
            client.send(b"nothing please", b"echo no. 1")
            assert await client.receive() == b"<echo no. 1>"

    asyncio.run(run())


def test_a_big_request_and_a_big_answer_arrive_whole() -> None:
    async def run() -> None:
        async with serving() as (_, _, connect):
            client = await connect()
            body = b"echo " + bytes(range(256)) * 20_000
            client.send(body, b"big please")
            assert await client.receive() == b"<" + body + b">"
            assert len(await client.receive()) == 8_000_004

    asyncio.run(run())


def test_a_peer_that_does_not_read_is_not_served_further() -> None:
    async def run() -> None:
        async with serving() as (_, script, connect):
            client = await connect()
            client.send(*[b"big please"] * 10)
            await script.seen_count(1)
            other = await connect()
            other.send(b"echo no. 1")
            await other.receive()
            assert len(script.seen) < 10
            assert [len(await client.receive()) for _ in range(10)] == [8_000_004] * 10

    asyncio.run(run())


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\xff" * 50, bytes(8)]
)
def test_garbage_closes_only_its_own_connection(garbage: bytes) -> None:
    async def run() -> None:
        async with serving() as (_, _, connect):
            bad, good = await connect(), await connect()
            bad.writer.write(garbage)
            assert await bad.closed()
            good.send(b"echo no. 1")
            assert await good.receive() == b"<echo no. 1>"

    asyncio.run(run())


@pytest.mark.parametrize("wish", [b"close me", b"crash now"])
def test_a_request_that_cannot_be_answered_closes_its_connection(wish: bytes) -> None:
    async def run() -> None:
        async with serving() as (_, _, connect):
            client = await connect()
            client.send(wish)
            assert await client.closed()

    asyncio.run(run())


def test_an_answer_that_cannot_be_made_closes_its_connection_only() -> None:
    async def run() -> None:
        async with serving() as (_, script, connect):
            bad, good = await connect(), await connect()
            bad.send(b"pipeline 1")
            await script.seen_count(1)
            good.send(b"pipeline 2")
            await script.seen_count(2)
            broken: Any = None
            script.promised[0][1].resolve(broken)
            script.promised[1][1].resolve(b"fine")
            assert await bad.closed()
            assert await good.receive() == b"fine"

    asyncio.run(run())


def test_connections_beyond_the_limit_are_refused() -> None:
    async def run() -> None:
        async with serving(Limits(connections_max=1)) as (_, _, connect):
            first = await connect()
            first.send(b"echo no. 1")
            await first.receive()
            assert await (await connect()).closed()
            first.send(b"echo no. 2")
            assert await first.receive() == b"<echo no. 2>"

    asyncio.run(run())


def test_a_request_that_finds_no_room_closes_its_connection() -> None:
    async def run() -> None:
        async with serving(Limits(room_bytes=200_000)) as (_, _, connect):
            greedy, good = await connect(), await connect()
            greedy.writer.write(struct.pack(">i", 10_000_000) + bytes(1_000_000))
            assert await greedy.closed()
            good.send(b"echo " + bytes(150_000))
            assert len(await good.receive()) == 150_007

    asyncio.run(run())


def test_promises_to_a_peer_that_left_are_abandoned() -> None:
    async def run() -> None:
        async with serving() as (_, script, connect):
            client = await connect()
            client.send(b"later on")
            await script.seen_count(1)
            client.writer.close()
            async with asyncio.timeout(DEADLINE_S):
                while script.promised[0][1].open:
                    await asyncio.sleep(0)

    asyncio.run(run())


def test_silent_peers_are_closed_and_quiet_ones_kept() -> None:
    async def run() -> None:
        async with serving(Limits(stall_s=0.0, idle_s=600)) as (server, _, connect):
            silent, halfway, quiet = await connect(), await connect(), await connect()
            quiet.send(b"echo no. 1")
            await quiet.receive()
            halfway.writer.write(struct.pack(">i", 1000) + b"half a request")
            quiet.send(b"echo no. 2")
            await quiet.receive()
            server.sweep()
            assert await silent.closed()
            assert await halfway.closed()
            quiet.send(b"echo no. 3")
            assert await quiet.receive() == b"<echo no. 3>"

    asyncio.run(run())


def test_a_stop_sends_the_answers_that_are_owed() -> None:
    async def run() -> None:
        async with serving() as (server, script, connect):
            client = await connect()
            client.send(b"pipeline 1", b"echo no. 2")
            await script.seen_count(2)
            server.stop_accepting()
            script.promised[0][1].resolve(b"done")
            assert [await client.receive(), await client.receive()] == [b"done", b"<echo no. 2>"]
            assert await client.closed()
            await server.closed(timeout_s=DEADLINE_S)

    asyncio.run(run())


def test_a_port_in_use_is_one_clear_error() -> None:
    async def run() -> None:
        async with serving() as (server, _, _):
            with pytest.raises(Unavailable, match=r"cannot listen on 127\.0\.0\.1:\d+: .*in use"):
                await Server(Script()).listen("127.0.0.1", server.port)

    asyncio.run(run())
