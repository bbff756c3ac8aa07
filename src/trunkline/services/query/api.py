"""The HTTP API: run, explain, cancel and look up queries, and see how the enforcer stands.

Who reads is in the token: its subject is the user, its scopes `team:X` and `role:X` are their teams and
roles, `origin:X` says what asks on their behalf. A caller sees its own queries; with the scope `auditor`
those of its tenant, and the text that policies make of a statement.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Query, Response

from trunkline.client.broadcast.course import NEVER
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Problem,
    Reading,
    caller,
    decode_cursor,
    page_of,
    reading,
)
from trunkline.services.kit.api.pages import PAGE_DEFAULT
from trunkline.services.policies.policy import Policy, as_drafted
from trunkline.services.query import log
from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import Column
from trunkline.services.query.engine import QueryEngine, Request
from trunkline.services.query.errors import Denied, QueryCancelled, QueryFailed
from trunkline.services.query.explaining import Explanation, explained
from trunkline.services.query.following import PolicyFollower
from trunkline.services.query.log import Entry
from trunkline.services.query.rules import Note
from trunkline.services.query.whatif import WhatIf

AUDITOR: Final = "auditor"
"""The scope of those who may see what others of their tenant asked, and test policies on it."""

_ORIGIN: Final = "origin:"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is asked."""

    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer:
    """The result of a query. `truncated`: there were more rows; `warnings` are of policies not in force."""

    query_id: str
    columns: tuple[Column, ...]
    rows: list[list[Any]]
    truncated: bool
    duration_us: int
    policy_revision: int
    tables: tuple[str, ...]
    warnings: tuple[Note, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcer:
    """How this instance stands with the caller's policies."""

    ready: bool
    stale: str | None
    revision: int
    digest: str
    policies: int
    incomplete: str | None
    positions: dict[str, int]
    rejected: int
    heard_seconds_ago: float | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """Policies to compare with those in force: all of them, not a change of them."""

    policies: list[dict[str, Any]]
    last: int = 100


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Which query was stopped."""

    query_id: str


def routes(engine: QueryEngine, policies: PolicyFollower) -> APIRouter:
    """The routes on an engine and what it decides by."""
    api = APIRouter(tags=["queries"])

    @api.post("/queries", response_model=QueryAnswer)
    def run(
        who: Annotated[Caller, caller],
        statement: Statement,
        x_correlation_id: Annotated[str | None, Header(max_length=256)] = None,
    ) -> Response:
        """Run a statement and wait for its rows; 403 names the policy and the revision that denied it."""
        request = _request(who, statement.sql, x_correlation_id)
        try:
            answer = engine.run(request)
        except Denied as error:
            raise _refused(error) from error
        except QueryFailed as error:
            raise Problem(422, f"{error.code}: {error}") from error
        except QueryCancelled as error:
            raise Problem(409, str(error)) from error
        # The result may hold what JSON has no word for; the encoder knows decimals, times and bytes.
        return Response(
            msgspec.json.encode(answer), media_type="application/json", headers={"cache-control": "no-store"}
        )

    @api.post("/queries/explain")
    def explain(who: Annotated[Caller, caller], statement: Statement) -> Explanation:
        """What would happen with a statement, for this caller; auditors see the text that is executed."""
        plan = engine.explain(_request(who, statement.sql))
        return explained(plan, with_sql=AUDITOR in who.scopes)

    @api.get("/queries")
    def queries(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        state: Annotated[str | None, Query(description="One of the states of a query.")] = None,
        cursor: str | None = None,
        limit: PageSize = PAGE_DEFAULT,
    ) -> Page[Entry]:
        """The query log, newest first."""
        before = None if cursor is None else decode_cursor(cursor, tuple[str])[0]
        user = None if AUDITOR in who.scopes else who.subject
        found = log.entries(at.tx, who.tenant, limit=limit + 1, before=before, state=state, user=user)
        return page_of(found, limit, lambda entry: (entry.query_id,))

    @api.get("/queries/{query_id}")
    def query(query_id: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> Entry:
        """One entry of the log."""
        return _visible(who, log.entry(at.tx, who.tenant, query_id), query_id)

    @api.delete("/queries/{query_id}")
    def cancel(query_id: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> Cancelled:
        """Stop a query that runs in this instance."""
        _visible(who, log.entry(at.tx, who.tenant, query_id), query_id)
        if not engine.cancel(who.tenant, query_id, by=who.subject):
            raise Problem(409, f"query {query_id} does not run here any more")
        return Cancelled(query_id)

    @api.get("/enforcer")
    def enforcer(who: Annotated[Caller, caller]) -> Enforcer:
        """Which revision decides here, and whether it is known to be the newest."""
        return _enforcer(policies, who.tenant)

    @api.get("/enforcer/bundle")
    def bundle(who: Annotated[Caller, caller]) -> Response:
        """The whole bundle that decides here, as `trunkline policy restore` takes it."""
        _require_auditor(who)
        found = policies.standing(who.tenant).policies.bundle
        return Response(msgspec.json.encode(found), media_type="application/json")

    @api.post("/whatif")
    def whatif(who: Annotated[Caller, caller], proposal: Proposal) -> WhatIf:
        """What these policies would have decided about the caller's tenant's last queries."""
        _require_auditor(who)
        return engine.what_if(who.tenant, proposed(proposal.policies), last=proposal.last)

    return api


def proposed(policies: list[dict[str, Any]]) -> list[Policy]:
    """These policies, in the form in which they are published. Raises `Problem` 422 for what is none."""
    try:
        return as_drafted(policies)
    except msgspec.ValidationError as error:
        raise Problem(422, f"policies: {error}") from error


def reader_of(who: Caller) -> Principal:
    """The reader that a token speaks of."""
    return Principal(user=who.subject, teams=_named(who.scopes, "team:"), roles=_named(who.scopes, "role:"))


def _request(who: Caller, sql: str, correlationid: str | None = None) -> Request:
    origins = sorted(_named(who.scopes, _ORIGIN))
    return Request(
        tenant=who.tenant,
        reader=reader_of(who),
        sql=sql,
        origin=origins[0] if origins else "user",
        correlationid=correlationid,
    )


def _named(scopes: frozenset[str], prefix: str) -> frozenset[str]:
    return frozenset(
        scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix) and scope != prefix
    )


def _refused(error: Denied) -> Problem:
    """What may be allowed in a moment is told apart from what is not."""
    if error.temporary:
        return Problem(503, str(error), headers={"retry-after": "5"})
    return Problem(403, str(error))


def _require_auditor(who: Caller) -> None:
    if AUDITOR not in who.scopes:
        raise Problem(403, f"this needs a token with the scope {AUDITOR}")


def _visible(who: Caller, entry: Entry | None, query_id: str) -> Entry:
    if entry is None or not (AUDITOR in who.scopes or entry.user_id == who.subject):
        raise Problem(404, f"there is no query {query_id}")
    return entry


def _enforcer(policies: PolicyFollower, tenant: str) -> Enforcer:
    standing = policies.standing(tenant)
    known, replica = standing.policies, policies.replica
    heard = replica.heard_at
    return Enforcer(
        ready=policies.not_ready is None,
        stale=standing.stale,
        revision=known.bundle.revision,
        digest=known.bundle.digest,
        policies=len(known.bundle.policies),
        incomplete=known.incomplete,
        positions={str(number): offset for number, offset in sorted(replica.positions.items())},
        rejected=replica.rejected,
        heard_seconds_ago=None if heard == NEVER else round(policies.seconds_since(heard), 3),
    )
