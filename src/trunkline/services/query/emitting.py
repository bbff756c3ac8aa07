"""The events that tell of a query's life. Their ids follow from its own, so telling twice is telling once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import (
    QueryCancelled,
    QueryCompleted,
    QueryDenied,
    QueryFailed,
    QuerySubmitted,
)
from trunkline.client.outbox import Outbox
from trunkline.codec import derive_id
from trunkline.services.query.database import Result
from trunkline.services.query.errors import Denied
from trunkline.services.query.log import REASON_MAX, Entry

ENGINE: Final = "duckdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrator:
    """Tells of one query in the transactions of its log entry."""

    outbox: Outbox
    tenant: str
    entry: Entry
    correlationid: str | None = None

    def submitted(self, tx: Connection) -> None:
        """It was accepted for execution."""
        entry = self.entry
        event = QuerySubmitted(
            query_id=entry.query_id,
            user_id=entry.user_id,
            engine=ENGINE,
            sql_fingerprint=entry.fingerprint,
            sql=entry.sql,
            origin=entry.origin,
        )
        self._emit(tx, event, "submitted", entry.submitted_at)

    def completed(self, tx: Connection, result: Result, *, duration_us: int, at: datetime) -> None:
        """It ended with a result."""
        entry = self.entry
        event = QueryCompleted(
            query_id=entry.query_id,
            user_id=entry.user_id,
            engine=ENGINE,
            sql_fingerprint=entry.fingerprint,
            duration_us=duration_us,
            rows_returned=len(result.rows),
            tables=entry.tables,
            cpu_us=result.cost.cpu_us,
            rows_scanned=result.cost.rows_scanned,
            bytes_scanned=result.cost.bytes_scanned,
            origin=entry.origin,
            policy_revision=entry.policy_revision,
        )
        self._emit(tx, event, "completed", at)

    def failed(self, tx: Connection, code: str, message: str, *, duration_us: int, at: datetime) -> None:
        """It ended with an error."""
        event = QueryFailed(
            query_id=self.entry.query_id,
            user_id=self.entry.user_id,
            engine=ENGINE,
            error_code=code,
            message=message[:REASON_MAX],
            duration_us=duration_us,
            tables=self.entry.tables,
            origin=self.entry.origin,
        )
        self._emit(tx, event, "failed", at)

    def cancelled(self, tx: Connection, by: str, *, duration_us: int, at: datetime) -> None:
        """Somebody stopped it."""
        event = QueryCancelled(
            query_id=self.entry.query_id,
            user_id=self.entry.user_id,
            cancelled_by=by,
            ran_for_ms=duration_us // 1000,
        )
        self._emit(tx, event, "cancelled", at)

    def denied(self, tx: Connection, denial: Denied) -> None:
        """A policy refused it."""
        event = QueryDenied(
            query_id=self.entry.query_id,
            user_id=self.entry.user_id,
            resource=denial.asset,
            policy_id=denial.policy_id,
            policy_revision=denial.revision,
            reason=denial.reason[:REASON_MAX],
        )
        self._emit(tx, event, "denied", self.entry.submitted_at)

    def _emit(self, tx: Connection, event: Event, what: str, at: datetime) -> None:
        self.outbox.emit(
            tx,
            event,
            tenant=self.tenant,
            id=derive_id("query", self.entry.query_id, what),
            time=at,
            subject=self.entry.query_id,
            correlationid=self.correlationid,
        )
