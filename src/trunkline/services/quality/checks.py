"""Checks that statements take for granted: proposed by what queries assume, decided by people."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.assets import TableName, table_of
from trunkline.catalogue.events.quality import Dimension
from trunkline.codec import derive_id
from trunkline.errors import NotFound
from trunkline.services.quality.derive import Candidate, Kind
from trunkline.services.quality.rows import upsert
from trunkline.services.quality.tables import QUALITY_CHECK, QUALITY_PENDING

Decision: TypeAlias = Literal["active", "muted", "proposed"]

DIMENSIONS: Final[Mapping[Kind, Dimension]] = {
    "not_null": "completeness",
    "accepted_values": "validity",
    "castable": "validity",
    "unique": "uniqueness",
    "references": "consistency",
}


class Proposal(msgspec.Struct, frozen=True):
    """A candidate about an asset."""

    asset: str
    kind: Kind
    params: str
    """JSON with sorted keys: `column`, and `type` or `refers_to` where the kind has one."""

    @property
    def id(self) -> str:
        """The same for the same check, whoever proposes it."""
        return derive_id("quality-check", self.asset, self.kind, self.params)


def proposals(candidates: Iterable[Candidate], assets: Iterable[str]) -> list[Proposal]:
    """The candidates about assets that the query's end has named; names in SQL alone may be anybody's."""
    named = [(found, urn) for urn in assets if (found := table_of(urn)) is not None]
    return [
        Proposal(urn, one.kind, params)
        for one in candidates
        if (urn := _meant(named, one.schema, one.table)) and (params := _params(one, named))
    ]


def _meant(named: Iterable[tuple[TableName, str]], schema: str, table: str) -> str | None:
    """The one asset that a statement means by a name; None when it could be another as well."""
    found = [urn for name, urn in named if name.table == table and schema in ("", name.schema)]
    return found[0] if len(found) == 1 else None


def _params(candidate: Candidate, named: Iterable[tuple[TableName, str]]) -> str | None:
    params = {"column": candidate.column}
    if candidate.kind == "castable":
        params["type"] = candidate.detail
    elif candidate.kind == "references":
        schema, table, column = candidate.detail.split("\0")
        other = _meant(named, schema, table)
        if other is None:
            return None
        params["refers_to"] = f"{other}#{column}"
    return msgspec.json.encode(params, order="sorted").decode()


def support(tx: Connection, tenant: str, found: Counter[Proposal]) -> None:
    """Count how often queries took these for granted."""
    if not found:
        return
    insert = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(QUALITY_CHECK)
    statement = insert.on_conflict_do_update(
        index_elements=["tenant", "id"],
        set_={"support": QUALITY_CHECK.c.support + insert.excluded.support},
    )
    tx.execute(
        statement,
        [
            {
                "tenant": tenant,
                "id": proposal.id,
                "asset": proposal.asset,
                "kind": proposal.kind,
                "params": proposal.params,
                "dimension": DIMENSIONS[proposal.kind],
                "origin": "derived",
                "support": number,
                "decided": None,
                "decided_by": None,
            }
            for proposal, number in sorted(found.items(), key=lambda item: item[0].id)
        ],
    )


def decide(tx: Connection, tenant: str, check_id: str, decision: Decision, *, by: str) -> None:
    """Make a check active, mute it, or make it a proposal again. Raises `NotFound` if there is none."""
    table = QUALITY_CHECK.c
    decided = None if decision == "proposed" else decision
    changed = tx.execute(
        update(QUALITY_CHECK)
        .where(table.tenant == tenant, table.id == check_id)
        .values(decided=decided, decided_by=by)
    )
    if not changed.rowcount:
        raise NotFound(f"check {check_id}: {tenant} has no such check; `trunkline quality checks` lists them")


def remember_pending(tx: Connection, tenant: str, pending: Mapping[str, tuple[int, list[Candidate]]]) -> None:
    """Keep the candidates of queries under way, by query id, with the time of their newest submission."""
    upsert(
        tx,
        QUALITY_PENDING,
        [
            {
                "tenant": tenant,
                "query_id": query_id,
                "at_us": at_us,
                "candidates": msgspec.json.encode(found).decode(),
            }
            for query_id, (at_us, found) in pending.items()
        ],
    )


def take_pending(tx: Connection, tenant: str, query_ids: list[str]) -> dict[str, tuple[int, list[Candidate]]]:
    """What `remember_pending` keeps of queries that have ended; it is forgotten with this."""
    if not query_ids:
        return {}
    table = QUALITY_PENDING.c
    ours = (table.tenant == tenant, table.query_id.in_(query_ids))
    rows = tx.execute(select(table.query_id, table.at_us, table.candidates).where(*ours)).all()
    if rows:
        tx.execute(delete(QUALITY_PENDING).where(*ours))
    return {
        query_id: (at_us, msgspec.json.decode(found, type=list[Candidate])) for query_id, at_us, found in rows
    }
