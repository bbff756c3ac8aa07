"""The catalog over HTTP: a caller sees its tenant's assets, as of any time, page by page."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.catalogue.events import model as ml
from trunkline.services.catalog.api import routes
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue
from trunkline.testing.catalog_desk import TENANT, Catalog, at, said

TABLE = "urn:table:sales.orders"
VERSION = "urn:model_version:churn/1"


@pytest.fixture
def client_of(catalog: Catalog) -> Callable[[str], TestClient]:
    """A client of a tenant. The catalog knows a model of acme with an alias, and one that is not known."""
    key = Ed25519PrivateKey.generate()
    app = new_api(
        "catalog-service",
        [routes()],
        store=catalog.store,
        verifier=Verifier(key.public_key()),
        title="Catalog Service",
    )
    created = ml.ModelVersionCreated(
        model="churn", version=1, actor_id="ana", source_uri="s3://m/1", trained_on=(TABLE, "urn:bad")
    )
    alias = ml.ModelAliasSet(model="churn", alias="champion", version=1, actor_id="ana")
    lost = ml.ModelAliasSet(model="fraud", alias="champion", version=7, actor_id="ana")
    catalog.take(said(created, 1), said(alias, 2), said(lost, 3))

    def client(tenant: str) -> TestClient:
        token = issue(
            key, tenant=tenant, subject="u", scopes=[], now=datetime.now(UTC), lifetime=timedelta(hours=1)
        )
        return TestClient(app, headers={"authorization": f"Bearer {token}"})

    return client


@pytest.fixture
def client(client_of: Callable[[str], TestClient]) -> TestClient:
    return client_of(TENANT)


def test_assets_are_found_page_by_page(client: TestClient) -> None:
    first = client.get("/v1/assets", params={"kind": "model", "limit": 1}).json()
    second = client.get("/v1/assets", params={"kind": "model", "limit": 1, "cursor": first["next"]}).json()
    assert [page["items"][0]["urn"] for page in (first, second)] == ["urn:model:churn", "urn:model:fraud"]
    assert second["next"] is None


def test_an_asset_is_told_now_and_as_it_was(client: TestClient) -> None:
    model = "/v1/assets/urn:model:churn"
    now = client.get(model)
    assert [facet["name"] for facet in now.json()["facets"]] == ["alias:champion"]
    assert "x-consumed-through" in now.headers
    assert client.get(model, params={"as_of": at(1).isoformat()}).json()["facets"] == []
    assert client.get(model, params={"as_of": at(0).isoformat()}).status_code == 404
    assert client.get(model, params={"as_of": "2026-01-02T03:04:05"}).status_code == 422
    assert client.get(f"/v1/assets/{VERSION}").json()["state"] == "defined"


def test_what_belongs_to_an_asset_is_asked_below_it(client: TestClient) -> None:
    history = client.get(f"/v1/assets/{VERSION}/history").json()["items"]
    assert {change["facet"] for change in history} == {"version", "trained_on"}
    lineage = client.get(f"/v1/assets/{TABLE}/lineage", params={"direction": "down"}).json()
    assert [node["urn"] for node in lineage["nodes"]] == [TABLE, VERSION, "urn:model:churn"]
    (model,) = client.get(f"/v1/assets/{TABLE}/models").json()
    assert (model["model"], model["version"], model["aliases"]) == ("churn", 1, ["champion"])


def test_an_alias_is_looked_up(client: TestClient) -> None:
    assert client.get("/v1/models/churn@champion").json()["urn"] == VERSION
    assert client.get("/v1/models/fraud@champion").json()["pending"]
    assert client.get("/v1/models/churn@nobody").status_code == 404
    assert client.get("/v1/models/churn/versions").json()[0]["version"] == 1
    assert client.get("/v1/models/churn/aliases").json()[0]["alias"] == "champion"


@pytest.mark.parametrize(
    "path",
    [
        "assets/urn:model:none",
        "assets/urn:model:none/history",
        "assets/urn:table:main.none/lineage",
        "assets/urn:table:main.none/models",
        "models/none/versions",
        "models/none/aliases",
        "models/none@champion",
    ],
)
def test_what_nobody_has_spoken_of_is_a_404(client: TestClient, path: str) -> None:
    refused = client.get(f"/v1/{path}")
    assert (refused.status_code, "no such asset is known" in refused.json()["detail"]) == (404, True)


def test_what_waits_and_what_was_rejected_is_listed(client: TestClient) -> None:
    waiting = [one["urn"] for one in client.get("/v1/pending").json()["items"]]
    assert waiting == ["urn:model:churn", "urn:model:fraud", "urn:model_version:fraud/7"]
    (rejected,) = client.get("/v1/rejected").json()["items"]
    assert rejected["facet"] == "trained_on:urn:bad"


def test_two_assets_are_compared_and_changes_followed(client: TestClient) -> None:
    params = {"left": "urn:model:churn", "left_at": at(1).isoformat()}
    (difference,) = client.get("/v1/diff", params=params).json()
    assert (difference["facet"], difference["left"]) == ("alias:champion", None)
    feed = client.get("/v1/changes").json()
    assert len(feed["items"]) == 4
    assert client.get("/v1/changes", params={"cursor": feed["cursor"]}).json() == {
        "items": [],
        "cursor": feed["cursor"],
    }


@pytest.mark.parametrize(
    "path",
    [
        "assets?cursor=x",
        "assets?kind=modl",
        "assets?stage=prod",
        "changes?cursor=WzFlMzBd",
        "assets?text=--",
        "diff?left=urn:x:y",
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(client: TestClient, path: str) -> None:
    refused = client.get(f"/v1/{path}")
    assert refused.status_code == 422
    assert refused.json()["detail"]


def test_another_tenant_sees_nothing(client_of: Callable[[str], TestClient]) -> None:
    other = client_of("globex")
    assert other.get("/v1/assets").json()["items"] == []
    assert other.get(f"/v1/assets/{TABLE}").status_code == 404
    assert other.get("/v1/changes").json()["items"] == []
