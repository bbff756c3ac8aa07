"""Audit: the entries, whatever places they got in the trees. The order of a tree is that of ingestion."""

from typing import Final

from sqlalchemy import Connection

from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.kit.digest import digest_of
from trunkline.testing.suite.case import Case

_T: Final = AUDIT_EVENT.c


def _digest(tx: Connection) -> str:
    columns = (
        _T.tenant,
        _T.source,
        _T.id,
        _T.type,
        _T.time_us,
        _T.actor_id,
        _T.action,
        _T.resource_id,
        _T.body,
    )
    return digest_of(tx, [("entries", columns)])


CASE: Final = Case(
    service="audit-service",
    digest=_digest,
    keeps={"audit_event": "a log may not drop evidence", "audit_head": "its tree", "audit_tile": "its tree"},
)
