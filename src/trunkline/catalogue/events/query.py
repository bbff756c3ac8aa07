"""The life of a query: what Query Engine publishes."""

from typing import Literal, TypeAlias

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    DurationMs,
    DurationUs,
    Identifier,
    Reason,
    Sha256,
    Sql,
    Urn,
    Word,
)

TOPIC = "query.execution.events"

Engine: TypeAlias = Literal["duckdb", "trino", "spark", "clickhouse", "postgres", "other"]

_QUERY = AuditRule(resource="query", resource_id="query_id", actor_id="user_id")


@event(
    "query.submitted.v1",
    topic=TOPIC,
    audit=_QUERY,
    example={
        "query_id": "q-1",
        "user_id": "u-17",
        "engine": "duckdb",
        "sql_fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "sql": "SELECT count(*) FROM lineitem",
    },
)
class QuerySubmitted(Event, frozen=True, kw_only=True):
    """A query was accepted for execution. `sql_fingerprint` is the SHA-256 of the statement in UTF-8."""

    query_id: Identifier
    user_id: Identifier
    engine: Engine
    sql_fingerprint: Sha256
    sql: Sql | None = None
    origin: Word = "user"


@event(
    "query.completed.v1",
    topic=TOPIC,
    audit=_QUERY,
    example={
        "query_id": "q-1",
        "user_id": "u-17",
        "engine": "duckdb",
        "sql_fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "tables": ["tpch.lineitem"],
        "duration_us": 18250,
        "cpu_us": 31800,
        "rows_returned": 1,
        "rows_scanned": 60175,
        "bytes_scanned": 481400,
        "cache_hit": False,
        "origin": "user",
        "policy_revision": 4,
    },
)
class QueryCompleted(Event, frozen=True, kw_only=True):
    """A query ended with a result. Billing counts it, its scanned bytes and its processor time.

    `tables` are the relations read, `tables_written` those that got rows, both as `catalogue.assets` names
    them; `rows_written` and `bytes_written` are of all of these together, and unknown where they are None.
    `columns_hash` is `catalogue.assets.columns_hash` of the table written, where it is one. `policy_revision`
    is the bundle of policies that allowed it.
    """

    query_id: Identifier
    user_id: Identifier
    engine: Engine
    sql_fingerprint: Sha256
    duration_us: DurationUs
    rows_returned: Count
    tables: tuple[Urn, ...] = ()
    cpu_us: DurationUs | None = None
    rows_scanned: Count = 0
    bytes_scanned: Count = 0
    cache_hit: bool = False
    origin: Word = "user"
    policy_revision: Count | None = None
    tables_written: tuple[Urn, ...] = ()
    rows_written: Count | None = None
    bytes_written: Count | None = None
    columns_hash: Sha256 | None = None


@event(
    "query.failed.v1",
    topic=TOPIC,
    audit=AuditRule(resource="query", resource_id="query_id", actor_id="user_id", outcome="failure"),
    example={
        "query_id": "q-2",
        "user_id": "u-17",
        "engine": "duckdb",
        "error_code": "syntax_error",
        "message": "no such column: totl",
        "duration_us": 900,
    },
)
class QueryFailed(Event, frozen=True, kw_only=True):
    """A query ended with an error. It is not billed. `tables` are those it names, as far as that is known."""

    query_id: Identifier
    user_id: Identifier
    engine: Engine
    error_code: Word
    message: Reason
    duration_us: DurationUs = 0
    tables: tuple[Urn, ...] = ()
    origin: Word = "user"


@event(
    "query.cancelled.v1",
    topic=TOPIC,
    audit=_QUERY,
    example={"query_id": "q-3", "user_id": "u-17", "cancelled_by": "u-17", "ran_for_ms": 4200},
)
class QueryCancelled(Event, frozen=True, kw_only=True):
    """Somebody stopped a query before it ended. It is not billed."""

    query_id: Identifier
    user_id: Identifier
    cancelled_by: Identifier
    ran_for_ms: DurationMs
    reason: Reason | None = None


@event(
    "query.denied.v1",
    topic=TOPIC,
    audit=AuditRule(resource="query", resource_id="query_id", actor_id="user_id", outcome="denied"),
    example={
        "query_id": "q-4",
        "user_id": "u-17",
        "resource": "urn:table:hr.salary",
        "policy_id": "p-salary",
        "policy_revision": 4,
        "reason": "only the people team reads salaries",
    },
)
class QueryDenied(Event, frozen=True, kw_only=True):
    """A policy refused a query before it ran. It is not billed."""

    query_id: Identifier
    user_id: Identifier
    resource: Urn
    policy_id: Identifier
    policy_revision: Count | None = None
    reason: Reason | None = None
