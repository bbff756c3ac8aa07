"""How long a service's HTTP API takes to answer, for Prometheus."""

import time
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
NO_ROUTE: Final = "none"
"""What is counted where an address leads nowhere: addresses are the caller's, and without bound."""

NO_ANSWER: Final = 500
"""What the server sends for a route that raised before it answered."""


class ApiMetrics:
    """The metrics of one API in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "trunkline_api_request_seconds",
            "From a request of the HTTP API to the end of its answer, by the pattern of its route.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has its whole answer."""
        self._seconds.labels(method, route, str(status)).observe(seconds)


class Measured:
    """ASGI middleware, the outermost: what the others answer by themselves counts as well."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = NO_ANSWER

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            self._metrics.answered(
                _method(scope), _pattern(scope.get("route")), status, time.perf_counter() - began
            )


def _pattern(route: Any) -> str:
    return str(getattr(route, "path", NO_ROUTE))


def _method(scope: Scope) -> str:
    """The method where a route was found; callers may make up others."""
    return str(scope["method"]) if "route" in scope else NO_ROUTE
