"""The query engine: decides, executes, and tells of it.

    submit ──policy──> denied
       │ └──no SELECT──> failed
       └──> running ──> completed | failed | cancelled

What a query was decided by is fixed when it is submitted: it runs to its end under that revision, whatever
is activated meanwhile. Each step is one transaction of log entry and event, so neither is ever without the
other; a query whose process dies is given up by whoever sees it overdue (`sweeping`).
"""

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from trunkline.catalogue.names import TENANT_PATTERN
from trunkline.client import failpoints
from trunkline.client.outbox import Outbox
from trunkline.client.store import Store
from trunkline.codec import new_id
from trunkline.errors import InvalidInput, TrunklineError, Unavailable
from trunkline.services.kit.ending import ended_among
from trunkline.services.policies.bundle import new_bundle
from trunkline.services.policies.policy import Policy
from trunkline.services.query import log
from trunkline.services.query.cedar import Principal
from trunkline.services.query.database import Column, Limits, Result, Running, TenantDatabase
from trunkline.services.query.databases import Databases
from trunkline.services.query.emitting import Narrator
from trunkline.services.query.errors import BadStatement, Denied, QueryCancelled, QueryFailed
from trunkline.services.query.following import PolicySource, Standing
from trunkline.services.query.limits import QuerySettings
from trunkline.services.query.log import Entry
from trunkline.services.query.metrics import QueryMetrics
from trunkline.services.query.planner import Plan, Planner, Policies
from trunkline.services.query.rules import Note
from trunkline.services.query.statement import STATEMENT_CHARS_MAX, fingerprint_of
from trunkline.services.query.whatif import SAMPLES_MAX, WhatIf, compare

OVERDUE: Final = timedelta(seconds=30)
"""Beyond its time-out: after that nobody can still be working on a query."""

ENDED: Final = "trunkline:tenant-ended"
"""Stands for the policy where a tenant has ended."""

USER_CHARS_MAX: Final = 256
"""As `catalogue.events.fields.Identifier`."""

_ORIGIN: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A statement and who wants it run. `origin` is what asks for it, such as `dq` for a quality check."""

    tenant: str
    reader: Principal
    sql: str
    origin: str = "user"
    correlationid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a query returned, and under which revision. `truncated`: there were more rows than these."""

    query_id: str
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    duration_us: int
    policy_revision: int
    tables: tuple[str, ...]
    warnings: tuple[Note, ...]


class QueryEngine:
    """One instance. Thread-safe."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        *,
        policies: PolicySource,
        databases: Databases,
        settings: QuerySettings,
        metrics: QueryMetrics,
        wake: Callable[[], None],
        wall: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._policies = policies
        self._databases = databases
        self._settings = settings
        self._metrics = metrics
        self._wake = wake
        self._wall = wall
        self._monotonic = monotonic
        self._planner = Planner()
        self._running: dict[tuple[str, str], Running] = {}
        self._lock = threading.Lock()

    def run(self, request: Request) -> Answer:
        """Decide and execute, and wait for the result.

        Raises `Denied`, `BadStatement`, `QueryFailed`, `QueryCancelled`, and `Unavailable` when the policies,
        the store or the database are not to be had.
        """
        _check(request)
        entry = self._entry(request)
        self._require_alive(request.tenant)
        standing = self._policies.standing(request.tenant)
        with self._databases.of(request.tenant) as database:
            try:
                plan = self._planned(request, standing, database)
                plan.require_allowed()
            except Denied as denial:
                self._deny(request, entry, denial)
                raise
            except BadStatement as error:
                self._refuse(request, entry, error)
                raise
            entry = replace(entry, policy_revision=plan.revision, tables=plan.tables)
            result, duration_us = self._executed(request, entry, plan, database)
        return Answer(
            query_id=entry.query_id,
            columns=result.columns,
            rows=result.rows,
            truncated=result.truncated,
            duration_us=duration_us,
            policy_revision=plan.revision,
            tables=plan.tables,
            warnings=plan.warnings,
        )

    def explain(self, request: Request) -> Plan:
        """What would happen with the statement; nothing is executed, logged or told.

        Raises `BadStatement`, `Denied` for a tenant that has ended, and `Unavailable`.
        """
        _check(request)
        self._require_alive(request.tenant)
        standing = self._policies.standing(request.tenant)
        with self._databases.of(request.tenant) as database:
            return self._planned(request, standing, database)

    def cancel(self, tenant: str, query_id: str, *, by: str) -> bool:
        """Stop a query that runs in this instance; False if none does."""
        with self._lock:
            running = self._running.get((tenant, query_id))
        return running is not None and running.stop(by)

    def what_if(self, tenant: str, policies: Iterable[Policy], *, last: int) -> WhatIf:
        """What these policies, all of them, would have decided about the tenant's last queries.

        Raises `Denied` for a tenant that has ended, and `Unavailable`.
        """
        _require_tenant_id(tenant)
        self._require_alive(tenant)
        now = self._decided_by(tenant, self._policies.standing(tenant))
        then = replace(now, bundle=new_bundle(tenant, now.bundle.revision, policies))
        with self._store.read() as tx:
            entries = log.entries(tx, tenant, limit=max(1, min(last, SAMPLES_MAX)))
        with self._databases.of(tenant) as database:

            def plan(entry: Entry, by: Policies) -> Plan:
                return self._planner.plan(
                    entry.sql, entry.reader, by, database.relations, origin=entry.origin
                )

            return compare(plan, entries, now=now, then=then)

    def close(self) -> None:
        """Give the parser back."""
        self._planner.close()

    def _planned(self, request: Request, standing: Standing, database: TenantDatabase) -> Plan:
        began = self._monotonic()
        plan = self._planner.plan(
            request.sql,
            request.reader,
            self._decided_by(request.tenant, standing),
            database.relations,
            origin=request.origin,
            stale=standing.stale is not None,
        )
        self._metrics.planned(self._monotonic() - began)
        return plan

    def _decided_by(self, tenant: str, standing: Standing) -> Policies:
        known = standing.policies
        return Policies(
            bundle=known.bundle,
            tags=known.tags,
            tags_digest=known.tags_digest,
            open_by_default=self._settings.open_by_default(tenant),
        )

    def _executed(
        self, request: Request, entry: Entry, plan: Plan, database: TenantDatabase
    ) -> tuple[Result, int]:
        sql = plan.require_allowed()
        limits = self._settings.limits(request.tenant)
        narrator = self._narrator(request, entry)
        self._begin(request.tenant, narrator, limits)
        failpoints.reach("query.submitted")
        running, began = Running(), self._monotonic()
        key = (request.tenant, entry.query_id)
        with self._lock:
            self._running[key] = running
        try:
            result = database.execute(sql, limits, running, guarded=plan.guarded)
        except (QueryFailed, QueryCancelled, Unavailable) as error:
            self._end_badly(narrator, error, duration_us=self._since(began))
            raise
        finally:
            with self._lock:
                del self._running[key]
        failpoints.reach("query.executed")
        duration_us = self._since(began)
        self._complete(narrator, result, duration_us)
        return result, duration_us

    def _begin(self, tenant: str, narrator: Narrator, limits: Limits) -> None:
        overdue = narrator.entry.submitted_at + timedelta(milliseconds=limits.timeout_ms) + OVERDUE
        with self._store.write() as tx:
            self._require_alive_in(tx, tenant)
            log.add(tx, tenant, narrator.entry, overdue_at=overdue)
            narrator.submitted(tx)

    def _complete(self, narrator: Narrator, result: Result, duration_us: int) -> None:
        now, cost = self._wall(), result.cost
        with self._store.write() as tx:
            said = log.end(
                tx,
                narrator.entry.query_id,
                "completed",
                at=now,
                duration_us=duration_us,
                cpu_us=cost.cpu_us,
                rows_returned=len(result.rows),
                rows_scanned=cost.rows_scanned,
                bytes_scanned=cost.bytes_scanned,
            )
            if said:
                narrator.completed(tx, result, duration_us=duration_us, at=now)
        self._tell("completed")

    def _end_badly(self, narrator: Narrator, error: TrunklineError, *, duration_us: int) -> None:
        now, query_id = self._wall(), narrator.entry.query_id
        with self._store.write() as tx:
            if isinstance(error, QueryCancelled):
                if log.end(tx, query_id, "cancelled", at=now, duration_us=duration_us, reason=str(error)):
                    narrator.cancelled(tx, error.by, duration_us=duration_us, at=now)
            else:
                code = error.code if isinstance(error, QueryFailed) else "unavailable"
                ended = {"duration_us": duration_us, "error_code": code, "reason": str(error)}
                if log.end(tx, query_id, "failed", at=now, **ended):
                    narrator.failed(tx, code, str(error), duration_us=duration_us, at=now)
        self._tell("cancelled" if isinstance(error, QueryCancelled) else "failed")

    def _deny(self, request: Request, entry: Entry, denial: Denied) -> None:
        denied = replace(
            entry,
            state="denied",
            ended_at=entry.submitted_at,
            policy_revision=denial.revision,
            policy_id=denial.policy_id,
            asset=denial.asset,
            reason=denial.reason,
        )
        with self._store.write() as tx:
            self._require_alive_in(tx, request.tenant)
            log.add(tx, request.tenant, denied)
            self._narrator(request, denied).denied(tx, denial)
        self._tell("denied")

    def _refuse(self, request: Request, entry: Entry, error: BadStatement) -> None:
        failed = replace(
            entry, state="failed", ended_at=entry.submitted_at, error_code=error.code, reason=str(error)
        )
        with self._store.write() as tx:
            self._require_alive_in(tx, request.tenant)
            log.add(tx, request.tenant, failed)
            narrator = self._narrator(request, failed)
            narrator.failed(tx, error.code, str(error), duration_us=0, at=entry.submitted_at)
        self._tell("failed")

    def _entry(self, request: Request) -> Entry:
        return Entry(
            query_id=new_id(),
            user_id=request.reader.user,
            teams=tuple(sorted(request.reader.teams)),
            roles=tuple(sorted(request.reader.roles)),
            origin=request.origin,
            fingerprint=fingerprint_of(request.sql),
            sql=_storable(request.sql),
            state=log.RUNNING,
            submitted_at=self._wall(),
        )

    def _narrator(self, request: Request, entry: Entry) -> Narrator:
        return Narrator(
            outbox=self._outbox, tenant=request.tenant, entry=entry, correlationid=request.correlationid
        )

    def _require_alive(self, tenant: str) -> None:
        with self._store.read() as tx:
            self._require_alive_in(tx, tenant)

    def _require_alive_in(self, tx: Connection, tenant: str) -> None:
        """In a transaction that writes: the tenant does not end before it does."""
        if ended_among(tx, [tenant]):
            raise Denied(
                asset="urn:tenant:" + tenant,
                policy_id=ENDED,
                revision=0,
                reason="the tenant was deleted; nothing of it is read any more",
            )

    def _tell(self, outcome: str) -> None:
        self._metrics.ended(outcome)
        self._wake()

    def _since(self, began: float) -> int:
        return round((self._monotonic() - began) * 1_000_000)


def _check(request: Request) -> None:
    _require_tenant_id(request.tenant)
    if not _ORIGIN.fullmatch(request.origin):
        raise InvalidInput(f"origin {request.origin[:40]!r}: use up to 64 of a-z, 0-9 and _")
    if not 0 < len(request.reader.user) <= USER_CHARS_MAX:
        raise InvalidInput(f"who asks for this query? name a user in up to {USER_CHARS_MAX} characters")


def _require_tenant_id(tenant: str) -> None:
    """It becomes part of a path."""
    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"tenant {tenant[:80]!r}: use up to 64 letters, digits, '.', '_' or '-'")


def _storable(sql: str) -> str:
    """What is kept of a statement: no text of a database can hold NUL, and events bound its length."""
    kept = sql[:STATEMENT_CHARS_MAX].replace("\0", "").encode("utf-8", "replace").decode()
    return kept or " "
