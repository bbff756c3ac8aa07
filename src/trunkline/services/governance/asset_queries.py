"""What can be asked of assets: what keeps readers away, by which decisions, and what their checks say."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, tuple_, union

from trunkline.catalogue.assets import asset_urn
from trunkline.catalogue.events.policy import Mode
from trunkline.errors import NotFound
from trunkline.services.governance.hysteresis import PASSED, SEVERITIES, decode
from trunkline.services.governance.moments import from_us
from trunkline.services.governance.tables import CHECK, DECISION, OVERRIDE, QUARANTINE, TAG

_NAMES: Final = {rank: severity for severity, rank in SEVERITIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """A decision about an asset. `ends` is the one that it replaced, `revision` the bundle that enforces."""

    id: str
    asset: str
    action: str
    rule: str
    mode: Mode | None
    reason: str
    actor_id: str
    check_id: str | None
    cause_source: str | None
    cause_id: str | None
    revision: int | None
    ends: str | None
    until: datetime | None
    decided_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """Where a check stands: `failing` is the mode that it wants, by `rule`; results are newest first."""

    check_id: str
    dimension: str
    failing: Mode | None
    rule: str | None
    results: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideView:
    """A person's word about an asset, which holds against its checks until it ends."""

    asset: str
    wanted: str
    decision_id: str
    actor_id: str
    reason: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TagView:
    """What people should know of an asset; it decides nothing."""

    tag: str
    ref: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    """All that governance knows of an asset. `mode` None: nothing keeps readers away."""

    asset: str
    mode: Mode | None
    decision_id: str | None
    reason: str | None
    override: OverrideView | None
    checks: list[CheckView]
    tags: list[TagView]


def decisions(
    tx: Connection,
    tenant: str,
    *,
    asset: str | None,
    limit: int,
    before: tuple[int, str] | None = None,
) -> list[DecisionView]:
    """Decisions, newest first, of one asset or of all."""
    order = (DECISION.c.time_us, DECISION.c.id)
    query = select(DECISION).where(DECISION.c.tenant == tenant)
    if asset is not None:
        query = query.where(DECISION.c.asset == asset_urn(asset))
    if before is not None:
        query = query.where(tuple_(*order) < tuple_(*before))
    query = query.order_by(*(column.desc() for column in order)).limit(limit)
    return [_decision(row) for row in tx.execute(query).mappings()]


def decision(tx: Connection, tenant: str, decision_id: str) -> DecisionView:
    """One decision. Raises `NotFound`."""
    query = select(DECISION).where(DECISION.c.tenant == tenant, DECISION.c.id == decision_id)
    row = tx.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"{tenant} has no decision {decision_id}; `trunkline policy decisions` lists them")
    return _decision(row)


def assets(tx: Connection, tenant: str, *, limit: int, after: str | None = None) -> list[str]:
    """The assets that something is known of: quarantined, overridden, checked or tagged."""
    named = union(
        *(select(one.c.asset).where(one.c.tenant == tenant) for one in (QUARANTINE, OVERRIDE, CHECK, TAG))
    ).subquery()
    query = select(named.c.asset).order_by(named.c.asset).limit(limit)
    if after is not None:
        query = query.where(named.c.asset > after)
    return list(tx.execute(query).scalars())


def asset(tx: Connection, tenant: str, name: str) -> AssetView:
    """All that is known of an asset."""
    urn = asset_urn(name)

    def at(table: Any) -> Any:
        return select(table).where(table.c.tenant == tenant, table.c.asset == urn)

    held = tx.execute(at(QUARANTINE)).mappings().first()
    override = tx.execute(at(OVERRIDE)).mappings().first()
    return AssetView(
        asset=urn,
        mode=held["mode"] if held else None,
        decision_id=held["decision_id"] if held else None,
        reason=held["reason"] if held else None,
        override=_override(override) if override else None,
        checks=[_check(row) for row in tx.execute(at(CHECK).order_by(CHECK.c.check_id)).mappings()],
        tags=[
            TagView(tag=row["tag"], ref=row["ref"], detail=row["detail"], since=from_us(row["time_us"]))
            for row in tx.execute(at(TAG).order_by(TAG.c.tag, TAG.c.ref)).mappings()
        ],
    )


def overrides(tx: Connection, tenant: str) -> list[OverrideView]:
    """The overrides in force, by asset."""
    query = select(OVERRIDE).where(OVERRIDE.c.tenant == tenant).order_by(OVERRIDE.c.asset)
    return [_override(row) for row in tx.execute(query).mappings()]


def _decision(row: RowMapping) -> DecisionView:
    shown = {name: row[name] for name in DecisionView.__dataclass_fields__ if name in row}
    until_us = row["until_us"]
    return DecisionView(
        **shown,
        until=None if until_us is None else from_us(until_us),
        decided_at=from_us(row["time_us"]),
    )


def _override(row: RowMapping) -> OverrideView:
    return OverrideView(
        asset=row["asset"],
        wanted=row["wanted"],
        decision_id=row["decision_id"],
        actor_id=row["actor_id"],
        reason=row["reason"],
        since=from_us(row["since_us"]),
        until=from_us(row["until_us"]),
    )


def _check(row: RowMapping) -> CheckView:
    results = reversed(decode(row["results"]))
    return CheckView(
        check_id=row["check_id"],
        dimension=row["dimension"],
        failing=row["failing"],
        rule=row["rule"],
        results=["passed" if one.rank == PASSED else _NAMES[one.rank] for one in results],
    )
