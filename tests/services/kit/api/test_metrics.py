"""What is measured of an API, by real requests through the application."""

import pytest
from fastapi import APIRouter, Response
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from trunkline.services.kit.api.metrics import ApiMetrics
from trunkline.services.kit.api.server import new_api


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/things/{name}")
    def thing(name: str) -> str:
        return name

    @router.post("/things")
    def add() -> Response:
        return Response(status_code=201)

    @router.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    return router


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(registry: CollectorRegistry) -> TestClient:
    # Neither store nor verifier is asked by these routes.
    api = new_api("s", [routes()], store=None, verifier=None, title="t", metrics=ApiMetrics(registry))  # type: ignore[arg-type]
    return TestClient(api, raise_server_exceptions=False)


def counted(registry: CollectorRegistry, method: str, route: str, status: str) -> float | None:
    labels = {"method": method, "route": route, "status": status}
    return registry.get_sample_value("trunkline_api_request_seconds_count", labels)


def test_requests_are_counted_by_the_pattern_of_their_route(
    client: TestClient, registry: CollectorRegistry
) -> None:
    client.get("/v1/things/a")
    client.get("/v1/things/b")
    client.post("/v1/things")
    assert counted(registry, "GET", "/things/{name}", "200") == 2
    assert counted(registry, "POST", "/things", "201") == 1


def test_what_leads_nowhere_is_one_series_whatever_was_asked(
    client: TestClient, registry: CollectorRegistry
) -> None:
    client.get("/v1/nothing")
    client.request("BREW", "/coffee")
    assert counted(registry, "none", "none", "404") == 2


def test_a_route_that_raises_counts_as_failed(client: TestClient, registry: CollectorRegistry) -> None:
    assert client.get("/v1/broken").status_code == 500
    assert counted(registry, "GET", "/broken", "500") == 1


def test_what_the_middleware_answers_by_itself_counts_as_well(
    client: TestClient, registry: CollectorRegistry
) -> None:
    assert client.get("/v1/things/a%00").status_code == 422
    assert counted(registry, "none", "none", "422") == 1
