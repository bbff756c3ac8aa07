"""The HTTP API that services share: tokens, problems, pages, freshness and ETags, over a real socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Query
from sqlalchemy.exc import DataError

from trunkline.client.store import migrate, open_store, position
from trunkline.client.store.position import Lane
from trunkline.errors import InvalidInput, NotFound, TrunklineError, Unavailable
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Problem,
    Reading,
    caller,
    decode_cursor,
    operator,
    page_of,
    reading,
    scoped,
)
from trunkline.services.kit.api.server import REQUEST_BYTES_MAX, ApiServer, new_api
from trunkline.services.kit.api.tokens import issue, load_or_create_key, load_verifier, public_path

NUMBERS = list(range(250))
ERRORS: dict[str, Exception] = {
    "problem": Problem(404, "there is no such thing"),
    "invalid": InvalidInput("that cannot be"),
    "missing": NotFound("there is none of that name"),
    "away": Unavailable("the store does not answer"),
    "refused": TrunklineError("not now"),
    "bug": ZeroDivisionError("secret detail"),
    "beyond": OverflowError("secret detail"),
    "data": DataError("SELECT secret", {}, ValueError("NUL")),
    "surrogate": UnicodeEncodeError("utf-8", "secret", 0, 1, "surrogates not allowed"),
}


@dataclass(frozen=True, slots=True)
class Who:
    tenant: str
    subject: str


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/who")
    def who(by: Annotated[Caller, caller]) -> Who:
        return Who(by.tenant, by.subject)

    @router.get("/secrets")
    def secrets(by: Annotated[Caller, operator]) -> Who:
        return Who(by.tenant, by.subject)

    @router.post("/things")
    def things(by: Annotated[Caller, scoped("things:write")], thing: dict[str, str]) -> Who:
        return Who(by.tenant, thing["text"])

    @router.get("/numbers")
    def numbers(
        by: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        limit: PageSize = 100,
        cursor: Annotated[str | None, Query()] = None,
    ) -> Page[int]:
        after = decode_cursor(cursor, tuple[int])[0] if cursor else -1
        return page_of([number for number in NUMBERS if number > after][: limit + 1], limit, lambda n: (n,))

    @router.post("/notes")
    def notes(by: Annotated[Caller, caller], note: dict[str, str]) -> Who:
        return Who(by.tenant, note["text"])

    @router.get("/errors/{name}")
    def errors(name: str) -> None:
        raise ERRORS[name]

    return router


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Ed25519PrivateKey:
    return load_or_create_key(tmp_path_factory.mktemp("keys") / "api-tokens.pem")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, key: Ed25519PrivateKey) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("api")
    path = directory / "tokens.pem"
    public_path(path).write_bytes(_public(key))
    with closing(open_store(f"sqlite:///{directory / 's.db'}")) as store:
        migrate(store)
        lane = Lane(group="g", cluster_id="c", topic="tenant.lifecycle.events", topic_id="1", partition=2)
        with store.write() as tx:
            position.advance(tx, lane, expected=None, target=7)
        app = new_api(
            "billing-service",
            [routes()],
            store=store,
            verifier=load_verifier(public_path(path)),
            title="Billing Service",
        )
        failures: list[Exception] = []
        server = ApiServer(app, host="127.0.0.1", port=0, on_failure=failures.append)
        server.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=10) as client:
            yield client
        server.stop()
        assert failures == []


def _public(key: Ed25519PrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def bearer(key: Ed25519PrivateKey, tenant: str = "acme", *scopes: str) -> dict[str, str]:
    lifetime = timedelta(hours=1)
    token = issue(key, tenant=tenant, subject="u-1", scopes=scopes, now=datetime.now(UTC), lifetime=lifetime)
    return {"authorization": f"Bearer {token}"}


def test_the_tenant_is_the_tokens(base: httpx.Client, key: Ed25519PrivateKey) -> None:
    answer = base.get("/v1/who?tenant=globex", headers=bearer(key))
    assert answer.json() == {"tenant": "acme", "subject": "u-1"}


def test_nobody_gets_in_without_a_token_and_learns_where_to_get_one(base: httpx.Client) -> None:
    answer = base.get("/v1/who")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "trunkline token" in answer.json()["detail"]


def _forged(key: Ed25519PrivateKey, **changes: object) -> str:
    claims = {
        "sub": "u-1",
        "aud": "trunkline",
        "tenant": "acme",
        "exp": datetime.now(UTC) + timedelta(hours=1),
        **changes,
    }
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, key, "EdDSA")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": datetime(2026, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"aud": "somebody-else"},
        {"tenant": None},
        {"tenant": "../etc"},
        {"tenant": 7},
        {"sub": None},
        {"scope": ["operator"]},
    ],
    ids=str,
)
def test_a_token_that_is_not_whole_is_refused(
    base: httpx.Client, key: Ed25519PrivateKey, changes: dict[str, object]
) -> None:
    headers = {"authorization": f"Bearer {_forged(key, **changes)}"}
    assert base.get("/v1/who", headers=headers).status_code == 401


def test_a_token_of_another_key_or_without_a_signature_is_refused(base: httpx.Client) -> None:
    other = Ed25519PrivateKey.generate()
    assert base.get("/v1/who", headers=bearer(other)).status_code == 401
    claims = {"sub": "u", "aud": "trunkline", "tenant": "acme", "exp": datetime(2030, 1, 1, tzinfo=UTC)}
    unsigned = jwt.encode(claims, "", algorithm="none")
    assert base.get("/v1/who", headers={"authorization": f"Bearer {unsigned}"}).status_code == 401


@pytest.mark.parametrize(
    ("tenant", "scopes", "status"),
    [("system", ("operator",), 200), ("acme", ("operator",), 403), ("system", (), 403)],
)
def test_only_the_platforms_operator_may_do_what_touches_everybody(
    base: httpx.Client, key: Ed25519PrivateKey, tenant: str, scopes: tuple[str, ...], status: int
) -> None:
    assert base.get("/v1/secrets", headers=bearer(key, tenant, *scopes)).status_code == status


def test_who_may_not_write_learns_so_before_what_was_written_is_looked_at(
    base: httpx.Client, key: Ed25519PrivateKey
) -> None:
    writer, reader = bearer(key, "acme", "things:write"), bearer(key, "acme", "other:write")
    assert base.post("/v1/things", json={"text": "a"}, headers=writer).status_code == 200
    refused = base.post("/v1/things", json=[], headers=reader)
    assert (refused.status_code, "the scope things:write" in refused.json()["detail"]) == (403, True)
    assert base.post("/v1/things", json={"text": "a"}).status_code == 401


def test_pages_follow_one_another_without_gap_or_repetition(
    base: httpx.Client, key: Ed25519PrivateKey
) -> None:
    found: list[int] = []
    cursor = ""
    while True:
        page = base.get(f"/v1/numbers?limit=40{cursor}", headers=bearer(key)).json()
        found += page["items"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == NUMBERS


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIl0", "%01", "a" * 500])
def test_a_cursor_of_something_else_is_refused(
    base: httpx.Client, key: Ed25519PrivateKey, cursor: str
) -> None:
    answer = base.get(f"/v1/numbers?cursor={cursor}", headers=bearer(key))
    assert (answer.status_code, "is not one of this query" in answer.text) == (422, True)


def test_an_answer_says_up_to_where_it_is_true(base: httpx.Client, key: Ed25519PrivateKey) -> None:
    answer = base.get("/v1/numbers", headers=bearer(key))
    assert answer.headers["x-consumed-through"] == "tenant.lifecycle.events/2=7"


def test_who_has_the_answer_already_is_told_so(base: httpx.Client, key: Ed25519PrivateKey) -> None:
    first = base.get("/v1/numbers", headers=bearer(key))
    again = base.get("/v1/numbers", headers=bearer(key) | {"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert base.get("/v1/numbers?limit=3", headers=bearer(key)).headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("problem", 404, "there is no such thing"),
        ("invalid", 422, "that cannot be"),
        ("missing", 404, "there is none of that name"),
        ("away", 503, "the store does not answer"),
        ("refused", 409, "not now"),
    ],
)
def test_every_error_is_a_problem_with_its_reason(
    base: httpx.Client, name: str, status: int, detail: str
) -> None:
    answer = base.get(f"/v1/errors/{name}")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_bug_does_not_show_its_text(base: httpx.Client) -> None:
    answer = base.get("/v1/errors/bug")
    assert (answer.status_code, "secret" in answer.text) == (500, False)


def test_a_wrong_parameter_and_a_wrong_path_are_problems_too(
    base: httpx.Client, key: Ed25519PrivateKey
) -> None:
    wrong = base.get("/v1/numbers?limit=0", headers=bearer(key))
    assert (wrong.status_code, "query.limit" in wrong.json()["detail"]) == (422, True)
    assert base.get("/v1/nothing").json()["status"] == 404


def test_the_api_describes_itself(base: httpx.Client) -> None:
    described = base.get("/openapi.json").json()
    assert described["info"]["title"] == "Billing Service"
    assert "/v1/numbers" in described["paths"]


def test_a_taken_port_is_refused_before_anything_runs(base: httpx.Client, tmp_path: Path) -> None:
    taken = base.base_url.port
    assert taken is not None
    app = new_api("s", [], store=None, verifier=None, title="t")  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match="choose another --api-port"):
        ApiServer(app, host="127.0.0.1", port=taken, on_failure=print)


def test_whoever_comes_as_soon_as_it_is_started_is_answered() -> None:
    app = new_api("s", [], store=None, verifier=None, title="t")  # type: ignore[arg-type]
    server = ApiServer(app, host="127.0.0.1", port=0, on_failure=print)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(b"GET /openapi.json HTTP/1.0\r\n\r\n")
            assert connection.recv(64).startswith(b"HTTP/1.1 200")
    finally:
        server.stop()


def test_a_server_that_was_never_started_can_be_stopped_twice() -> None:
    app = new_api("s", [], store=None, verifier=None, title="t")  # type: ignore[arg-type]
    server = ApiServer(app, host="127.0.0.1", port=0, on_failure=print)
    server.stop()
    server.stop()
    assert "api" not in {thread.name for thread in threading.enumerate() if not thread.is_alive()}


def test_a_body_without_a_token_is_not_gathered_beyond_the_bound(base: httpx.Client) -> None:
    mebibytes = (b"x" * (1 << 20) for _ in range((REQUEST_BYTES_MAX >> 20) + 1))
    assert base.post("/v1/notes", content=mebibytes).status_code == 413
    assert base.post("/v1/notes", content=b"x" * (REQUEST_BYTES_MAX + 1)).status_code == 413


@pytest.mark.parametrize("path", ["/v1/errors/a%00b", "/v1/numbers?cursor=%00"])
def test_an_address_with_nul_is_refused(base: httpx.Client, key: Ed25519PrivateKey, path: str) -> None:
    assert base.get(path, headers=bearer(key)).status_code == 422


@pytest.mark.parametrize("name", ["beyond", "data", "surrogate"])
def test_a_value_that_no_database_can_hold_is_the_callers_mistake(base: httpx.Client, name: str) -> None:
    answer = base.get(f"/v1/errors/{name}")
    assert (answer.status_code, "secret" in answer.text) == (422, False)


def test_no_cache_gives_one_callers_answer_to_another(base: httpx.Client, key: Ed25519PrivateKey) -> None:
    headers = base.get("/v1/who", headers=bearer(key)).headers
    assert (headers["vary"], headers["cache-control"]) == ("authorization", "private, no-cache")
