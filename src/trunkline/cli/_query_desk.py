"""Where `trunkline query` asks: on this machine's data, or at the API of a running query-engine."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self

import msgspec
import structlog

from trunkline.cli._offline import offline
from trunkline.errors import InvalidInput, TrunklineError, Unavailable

if TYPE_CHECKING:
    from trunkline.client.config import ConnectionOptions
    from trunkline.services.policies.policy import Policy
    from trunkline.services.query.engine import QueryEngine, Request

SERVICE: Final = "query-engine"
POLICIES_SECONDS: Final = 10.0
"""How long a command waits until it knows the policies of the cluster."""

TOKEN_LIFETIME: Final = timedelta(minutes=5)
HTTP_SECONDS: Final = 300.0
FILE_BYTES_MAX: Final = 8 << 20


class DeniedThere(TrunklineError):  # noqa: N818 - named for what happened
    """A running query engine has denied it."""

    exit_code: ClassVar[int] = 3


class Desk(Protocol):
    """Answers as the HTTP API does."""

    def run(self, request: "Request") -> Mapping[str, Any]:
        """The result of a query. Raises `Denied` or `DeniedThere`, and what the engine raises."""

    def explain(self, request: "Request") -> Mapping[str, Any]:
        """What would happen with the statement."""

    def whatif(self, tenant: str, policies: "list[Policy]", last: int) -> Mapping[str, Any]:
        """What these policies would have decided."""


@contextmanager
def local_desk(data_dir: Path, store: str | None, connection: "ConnectionOptions") -> Iterator[Desk]:
    """The engine in this process, with the policies of the cluster; their events wait in the outbox.

    Raises `Unavailable` when those cannot be read: what was known last is for a running service alone.
    """
    from trunkline.services.query.app import databases_of, engine_on, follower_on

    with ExitStack() as opened:
        opened.enter_context(_without_log())
        context = opened.enter_context(offline(SERVICE, data_dir=data_dir, store=store, create=True))
        context = replace(context, connection=connection)
        policies = follower_on(context)
        opened.callback(policies.stop)
        policies.start()
        if not policies.wait_current(POLICIES_SECONDS):
            raise Unavailable(f"the policies are not known: {policies.why_behind}")
        databases = opened.enter_context(closing(databases_of(context)))
        engine = opened.enter_context(closing(engine_on(context, policies, databases)))
        yield _LocalDesk(engine)


@contextmanager
def _without_log() -> Iterator[None]:
    """What the parts log is for a service; here an error is one line, and output is the answer."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


class _LocalDesk:
    def __init__(self, engine: "QueryEngine") -> None:
        self._engine = engine

    def run(self, request: "Request") -> Mapping[str, Any]:
        return _plain(self._engine.run(request))

    def explain(self, request: "Request") -> Mapping[str, Any]:
        from trunkline.services.query.explaining import explained

        return _plain(explained(self._engine.explain(request), with_sql=True))

    def whatif(self, tenant: str, policies: "list[Policy]", last: int) -> Mapping[str, Any]:
        return _plain(self._engine.what_if(tenant, policies, last=last))


class HttpDesk:
    """A running query engine, asked with a token that this machine's key signs. A context manager."""

    def __init__(self, url: str, token_key: Path) -> None:
        """Raises `InvalidInput` without the key that signs tokens."""
        import httpx

        from trunkline.services.kit.api.tokens import load_or_create_key

        if not token_key.exists():
            raise InvalidInput(f"no key to sign a token with at {token_key}; give --data-dir")
        self._key = load_or_create_key(token_key)
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=HTTP_SECONDS)

    def run(self, request: "Request") -> Mapping[str, Any]:
        """See `Desk`."""
        return self._ask("/v1/queries", {"sql": request.sql}, request)

    def explain(self, request: "Request") -> Mapping[str, Any]:
        """See `Desk`."""
        return self._ask("/v1/queries/explain", {"sql": request.sql}, request, "auditor")

    def whatif(self, tenant: str, policies: "list[Policy]", last: int) -> Mapping[str, Any]:
        """See `Desk`."""
        from trunkline.services.query.cedar import Principal
        from trunkline.services.query.engine import Request

        nobody = Request(tenant=tenant, reader=Principal(user="cli"), sql="")
        body = {"policies": msgspec.to_builtins(policies), "last": last}
        return self._ask("/v1/whatif", body, nobody, "auditor")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def _ask(self, path: str, body: Mapping[str, Any], request: "Request", *scopes: str) -> dict[str, Any]:
        import httpx

        headers = {"authorization": f"Bearer {self._token(request, scopes)}"}
        try:
            answer = self._client.post(path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._client.base_url}: {error}; is query-engine running there?") from error
        try:
            found = msgspec.json.decode(answer.content)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self._client.base_url} is not the API of query-engine") from error
        if answer.is_success:
            assert isinstance(found, dict), "every answer of these routes is an object"
            return found
        raise _error(answer.status_code, str(found.get("detail", answer.reason_phrase)))

    def _token(self, request: "Request", scopes: tuple[str, ...]) -> str:
        from trunkline.services.kit.api.tokens import issue

        reader = request.reader
        named = [f"team:{name}" for name in reader.teams] + [f"role:{name}" for name in reader.roles]
        origin = [] if request.origin == "user" else [f"origin:{request.origin}"]
        return issue(
            self._key,
            tenant=request.tenant,
            subject=reader.user,
            scopes=[*named, *origin, *scopes],
            now=datetime.now(UTC),
            lifetime=TOKEN_LIFETIME,
        )


def read_policies(path: Path) -> "list[Policy]":
    """All policies of a bundle, from a list or from what `policy bundle --json` printed.

    Raises `InvalidInput` for what is none; each is checked as when it is published.
    """
    import yaml

    from trunkline.catalogue.file import read_file
    from trunkline.services.policies.policy import as_drafted
    from trunkline.services.policies.validate import checked

    raw = read_file(path, "policies", bytes_max=FILE_BYTES_MAX)
    try:
        found = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if isinstance(found, dict) and "policies" in found:
        found = found["policies"]
    items = found if isinstance(found, list) else [found]
    try:
        policies = as_drafted(items)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{path}: {error}") from error
    return [policy if policy.kind == "quarantine" else checked(policy) for policy in policies]


def _plain(value: object) -> dict[str, Any]:
    """As JSON would give it back: decimals and times as text."""
    return msgspec.json.decode(msgspec.json.encode(value), type=dict[str, Any])


def _error(status: int, detail: str) -> TrunklineError:
    if status == 403:
        return DeniedThere(detail)
    if status in (401, 422, 404):
        return InvalidInput(detail)
    return Unavailable(detail) if status == 503 else TrunklineError(detail)
