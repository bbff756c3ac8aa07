"""The config service as the commands use it: on its database, or over its HTTP API. Both answer the same."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from trunkline.cli import _common
from trunkline.cli._config_options import SERVICE, actor_of
from trunkline.errors import InvalidInput, TrunklineError, Unavailable

if TYPE_CHECKING:
    import httpx

    from trunkline.client.broadcast.entries import Name
    from trunkline.services.config.desk import ConfigDesk

HTTP_SECONDS: Final = 30.0
CLIENT_ERROR, SERVER_ERROR = 400, 500
REFUSED: Final = frozenset({400, 401, 403, 404, 422})

Told = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody wants: `value` is a JSON value, a flag's rule, or UNSET."""

    name: "Name"
    value: Any
    reason: str | None = None
    expected: int | None = None
    at: datetime | None = None


class Desk(Protocol):
    """What can be done. Every answer is JSON as the API gives it."""

    def submit(self, change: Change) -> Told:
        """Make a change, or plan it."""

    def rollback(self, name: "Name", to: int, *, reason: str | None, expected: int | None) -> Told:
        """Set a name to what it was at a version."""

    def history(self, query: Mapping[str, Any]) -> Told:
        """A page of changes, the newest first."""

    def diff(self, query: Mapping[str, Any]) -> Told:
        """What is set differently between two times."""

    def plans(self, query: Mapping[str, Any]) -> Told:
        """A page of plans, the newest first."""

    def settle(self, plan: str, verdict: str) -> Told:
        """`approve` or `cancel` a plan."""


@contextmanager
def desk(
    *,
    data_dir: Path,
    store: str | None,
    url: str | None,
    token: str | None,
    actor: str | None,
    create: bool = False,
) -> Iterator[Desk]:
    """The service's desk: over HTTP with `url`, otherwise on its store, which `create` makes if missing."""
    if url is not None:
        import httpx

        if token is None:
            raise InvalidInput(
                "--url needs --token; `trunkline token --tenant system --scope operator` issues one"
            )
        headers = {"authorization": f"Bearer {token}"}
        base = url.rstrip("/") + "/v1"
        with httpx.Client(base_url=base, headers=headers, timeout=HTTP_SECONDS) as client:
            yield HttpDesk(client)
        return
    from trunkline.cli._offline import offline
    from trunkline.client.broadcast.keeping import kept
    from trunkline.services.config.desk import desk_of
    from trunkline.services.config.learning import take_in

    with offline(SERVICE, data_dir=data_dir, store=store, create=create) as context:
        # A store that was restored from a backup is behind what the service knew when it last ran here.
        known = kept(_common.kept_config_path(data_dir, SERVICE))
        take_in(context.store, known, now=context.wall())
        yield StoreDesk(desk_of(context), actor_of(actor))


class StoreDesk:
    """On the service's store, whether or not the service is running."""

    def __init__(self, desk: "ConfigDesk", actor: str) -> None:
        self._desk = desk
        self._actor = actor

    def submit(self, change: Change) -> Told:
        from trunkline.services.config.changes import Draft

        draft = Draft(
            name=change.name,
            value=change.value,
            actor=self._actor,
            reason=change.reason,
            expected=change.expected,
            origin="unset" if change.value is msgspec.UNSET else "set",
        )
        return _told(self._desk.submit(draft, due=change.at))

    def rollback(self, name: "Name", to: int, *, reason: str | None, expected: int | None) -> Told:
        return _told(self._desk.rollback(name, to, actor=self._actor, reason=reason, expected=expected))

    def history(self, query: Mapping[str, Any]) -> Told:
        from trunkline.services.config import queries

        wanted = queries.Wanted(**{name: query.get(name) for name in ("kind", "level", "scope", "key")})
        with self._desk.store.read() as tx:
            found = queries.history(tx, wanted, limit=query["limit"])
        return {"items": [_told(change) for _, change in found], "next": None}

    def diff(self, query: Mapping[str, Any]) -> Told:
        from trunkline.services.config import queries

        wanted = queries.Wanted(level=query.get("level"), scope=query.get("scope"))
        limit = query["limit"]
        with self._desk.store.read() as tx:
            found = queries.diff(tx, wanted, since=query["since"], until=query["until"], limit=limit + 1)
        return {"items": [_told(one) for one in found[:limit]], "complete": len(found) <= limit}

    def plans(self, query: Mapping[str, Any]) -> Told:
        from trunkline.services.config import queries

        with self._desk.store.read() as tx:
            found = queries.plans(tx, settled=query["settled"], limit=query["limit"])
        return {"items": [_told(plan) for plan in found], "next": None}

    def settle(self, plan: str, verdict: str) -> Told:
        act = self._desk.approve if verdict == "approve" else self._desk.cancel
        return _told(act(plan, actor=self._actor))


class HttpDesk:
    """Over the service's HTTP API; who acts is who the token was issued to."""

    def __init__(self, client: "httpx.Client") -> None:
        self._client = client

    def submit(self, change: Change) -> Told:
        name, value = change.name, change.value
        body: Told = {
            "key": name.key,
            "level": name.level,
            "scope": name.scope,
            "reason": change.reason,
            "expected_version": change.expected,
            "at": change.at,
        }
        if value is msgspec.UNSET:
            return self._call("POST", "/unset", {**body, "kind": name.kind})
        if name.kind == "flag":
            return self._call("PUT", "/flags", body | msgspec.structs.asdict(value))
        return self._call("PUT", "/values", {**body, "value": value})

    def rollback(self, name: "Name", to: int, *, reason: str | None, expected: int | None) -> Told:
        body = {**name._asdict(), "to_version": to, "reason": reason, "expected_version": expected}
        return self._call("POST", "/rollback", body)

    def history(self, query: Mapping[str, Any]) -> Told:
        return self._get("/history", query)

    def diff(self, query: Mapping[str, Any]) -> Told:
        return self._get("/diff", query)

    def plans(self, query: Mapping[str, Any]) -> Told:
        return self._get("/plans", query)

    def settle(self, plan: str, verdict: str) -> Told:
        from urllib.parse import quote

        return self._call("POST", f"/plans/{quote(plan, safe='')}/{verdict}", None)

    def _get(self, path: str, query: Mapping[str, Any]) -> Told:
        given = {name: _parameter(value) for name, value in query.items() if value is not None}
        return self._call("GET", path, None, given)

    def _call(
        self, method: str, path: str, body: Told | None, query: Mapping[str, str] | None = None
    ) -> Told:
        import httpx

        content = None if body is None else msgspec.json.encode(body)
        headers = {} if content is None else {"content-type": "application/json"}
        try:
            answer = self._client.request(method, path, content=content, headers=headers, params=query)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"{self._client.base_url}: {error}; check --url and that the service runs"
            ) from error
        if answer.status_code < CLIENT_ERROR:
            return msgspec.json.decode(answer.content, type=Told)
        detail = _detail(answer)
        if answer.status_code >= SERVER_ERROR:
            raise Unavailable(detail)
        raise InvalidInput(detail) if answer.status_code in REFUSED else TrunklineError(detail)


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _detail(answer: "httpx.Response") -> str:
    try:
        return str(msgspec.json.decode(answer.content, type=Told)["detail"])
    except (msgspec.DecodeError, KeyError):
        return f"{answer.url} answered {answer.status_code}; is it the config service's API?"


def _told(answer: Any) -> Told:
    told: Told = msgspec.to_builtins(answer)
    return told
