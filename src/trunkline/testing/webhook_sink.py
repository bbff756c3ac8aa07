"""A receiver of webhooks, for tests and the benchmark: remembers what came, and answers as it is told.

    with WebhookSink() as sink:
        ... deliver to sink.url ...
        assert sink.requests[0].headers["webhook-id"]

It speaks just enough HTTP/1.1 to keep connections, on a thread of its own; `python -m` runs it as a process,
where it takes no time from the sender's interpreter.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self

import msgspec

DEADLINE_S: Final = 20.0
REPORT_PATH: Final = "/report"


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `at` is Unix time, when its last byte was there."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The webhook-id."""
        return self.headers.get("webhook-id", "")

    def json(self) -> Any:
        """The body."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """How to answer; `delay_s` is before the first byte, and `cut` ends the connection instead."""

    status: int = 204
    headers: Mapping[str, str] | None = None
    delay_s: float = 0.0
    cut: bool = False


Answering = Callable[[Request], Answer]


class WebhookSink:
    """A running receiver on a port of its own; a context manager."""

    def __init__(self, answering: Answering = lambda _: Answer(), *, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self._answering = answering
        self._wanted_port = port
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="sink", daemon=True)
        self._thread.start()
        self._loop, self._stop, self.port = self._started.result(DEADLINE_S)
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        """Stop it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _run(self) -> None:
        stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            self.connections += 1
            try:
                await self._serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                return  # The sender has gone, or the test is over.
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", self._wanted_port)
        self._started.set_result((asyncio.get_running_loop(), stop, server.sockets[0].getsockname()[1]))
        await stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            pairs = (line.partition(":") for line in lines)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            path = first.split(" ")[1]
            if path == REPORT_PATH:
                await _write(writer, 200, {}, self._report())
                continue
            request = Request(time.time(), path, headers, body)
            self.requests.append(request)
            answer = self._answering(request)
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            if answer.cut:
                return
            await _write(writer, answer.status, answer.headers or {}, b"")

    def _report(self) -> bytes:
        return msgspec.json.encode(
            [(one.id, one.at, one.json()["data"]["items"][0]["event"]) for one in self.requests]
        )


async def _write(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    length = "" if status == HTTPStatus.NO_CONTENT else f"content-length: {len(body)}\r\n"
    writer.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{length}{lines}\r\n".encode() + body)
    await writer.drain()


def main() -> None:
    """Serve until standard input ends; prints the port first."""
    with WebhookSink() as sink:
        print(sink.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
