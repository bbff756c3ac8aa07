"""Serves a service's HTTP API beside its consumer."""

import socket
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from trunkline import __version__
from trunkline.client.store import Store
from trunkline.errors import Unavailable
from trunkline.services.kit.api import problems
from trunkline.services.kit.api.metrics import ApiMetrics, Measured
from trunkline.services.kit.api.tokens import Verifier

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5
REQUEST_BYTES_MAX: Final = 8 << 20
"""Of a body, which is gathered before any token is read. The largest needed is a policy bundle, of 4 MiB."""
ETAG_BYTES_MAX: Final = 4 << 20
"""Larger answers, and streams, go out without an ETag rather than being gathered first."""


def new_api(
    service: str,
    routes: Sequence[APIRouter],
    *,
    store: Store,
    verifier: Verifier,
    title: str,
    metrics: ApiMetrics | None = None,
) -> FastAPI:
    """The application: routes under /v1, OpenAPI under /openapi.json, problem details, ETags."""
    app = FastAPI(
        title=title, version=__version__, docs_url="/docs", redoc_url=None, max_body_size=REQUEST_BYTES_MAX
    )
    app.state.store, app.state.verifier, app.state.service = store, verifier, service
    problems.install(app)
    for router in routes:
        app.include_router(router, prefix="/v1")
    app.middleware("http")(_tagged)
    app.middleware("http")(_without_nul)
    if metrics is not None:
        app.add_middleware(Measured, metrics=metrics)
    return app


async def _without_nul(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """422 for an address with NUL, which no database can hold, before any route looks at it."""
    if "\0" in request.scope["path"] or "%00" in request.url.query:
        return problems.refusal(422, "an address cannot hold the character NUL")
    return await call_next(request)


async def _tagged(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """ETag of what is answered to a GET, and 304 for who has it already (RFC 9110 section 13)."""
    response = await call_next(request)
    response.headers["vary"] = "authorization"
    size = response.headers.get("content-length")
    if request.method != "GET" or response.status_code != 200 or size is None or int(size) > ETAG_BYTES_MAX:
        return response
    body = b"".join([chunk async for chunk in response.body_iterator])  # type: ignore[attr-defined]
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"cache-control": "private, no-cache", **response.headers, "etag": tag}
    known = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if tag in known:
        headers.pop("content-length")
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=200, headers=headers)


class ApiServer:
    """A `Companion` that serves an application on a thread of its own."""

    def __init__(
        self, app: FastAPI, *, host: str, port: int, on_failure: Callable[[Exception], None]
    ) -> None:
        """Takes the port at once. Raises `Unavailable` for one that cannot be had."""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"API port {port}: {error.strerror}; choose another --api-port") from error
        self.port: int = self._socket.getsockname()[1]
        self._on_failure = on_failure
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=STOP_SECONDS
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    def start(self) -> None:
        """Begin to answer. Who connects from now on waits for the thread rather than being refused."""
        self._socket.listen()
        self._thread.start()

    def stop(self) -> None:
        """Let requests under way finish, within a bound. Safe to call twice, and without `start`."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception as error:  # noqa: BLE001 - a service without its API must not seem to be well
            self._on_failure(error)
