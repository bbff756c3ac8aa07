"""`/livez` and `/readyz` for whoever starts and stops the service: 200, or 503 with the reasons."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, TypeAlias

import msgspec

from trunkline.errors import Unavailable

READ_SECONDS: Final = 5.0
"""A client that connects and says nothing must not keep a thread."""

Check: TypeAlias = Callable[[], list[str]]
"""Why something is not so; empty when it is."""


@contextmanager
def serving(port: int | None, *, host: str, live: Check, ready: Check) -> Iterator[int | None]:
    """Answer probes for as long as the block runs; yields the port, the system's choice for 0.

    Without a port nothing is served. Raises `Unavailable` when the port cannot be had.
    """
    if port is None:
        yield None
        return
    handler = type("Probes", (_Probes,), {"checks": {"/livez": live, "/readyz": ready}})
    try:
        server = ThreadingHTTPServer((host, port), handler)
    except OSError as error:
        raise Unavailable(f"health port {port}: {error.strerror}; choose another --health-port") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Probes(BaseHTTPRequestHandler):
    checks: Mapping[str, Check]
    timeout = READ_SECONDS

    def do_GET(self) -> None:
        check = self.checks.get(self.path.partition("?")[0])
        if check is None:
            self._answer(404, {"error": f"ask for {' or '.join(self.checks)}"})
            return
        reasons = check()
        self._answer(503 if reasons else 200, {"ok": not reasons, "reasons": reasons})

    do_HEAD = do_GET  # noqa: N815 - http.server's name for it

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name for it
        """Probes come every few seconds; they are not worth a line."""

    def _answer(self, status: int, body: Mapping[str, object]) -> None:
        raw = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)
