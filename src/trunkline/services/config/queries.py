"""What is configured, was configured, and will be; reads in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select, tuple_

from trunkline.catalogue.events.config import Level
from trunkline.client.broadcast.entries import FlagRule, Kind, Name, is_on
from trunkline.errors import InvalidInput
from trunkline.services.config import book
from trunkline.services.config.plans import OPEN
from trunkline.services.config.tables import CONFIG_CHANGE, CONFIG_ENTRY, CONFIG_PLAN
from trunkline.services.config.views import (
    ChangeView,
    Difference,
    EntryView,
    PlanView,
    Resolved,
    change_view,
    entry_view,
    json_of,
    plan_view,
)

NARROWEST_FIRST: Final = ("tenant", "service", "environment", "global")

_E: Final = CONFIG_ENTRY.c
_C: Final = CONFIG_CHANGE.c
_P: Final = CONFIG_PLAN.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which names; None: any. `prefix` is what a key begins with."""

    kind: Kind | None = None
    level: Level | None = None
    scope: str | None = None
    key: str | None = None
    prefix: str | None = None


def entries(
    tx: Connection,
    wanted: Wanted,
    *,
    limit: int,
    after: tuple[str, str, str, str] | None = None,
    unset: bool = False,
) -> list[EntryView]:
    """Entries by key, kind, level and scope, from behind the place `after`; with `unset` also those."""
    place = (_E.key, _E.kind, _E.level, _E.scope)
    query = select(CONFIG_ENTRY).where(*_conditions(_E, wanted)).order_by(*place).limit(limit)
    if not unset:
        query = query.where(_E.value.is_not(None))
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*after))
    return [entry_view(row) for row in tx.execute(query).mappings()]


def place_of(entry: EntryView) -> tuple[str, str, str, str]:
    """The place of an entry in the order of `entries`."""
    return entry.key, entry.kind, entry.level, entry.scope or ""


def resolve(
    tx: Connection,
    key: str,
    *,
    tenant: str | None = None,
    service: str | None = None,
    environment: str | None = None,
) -> Resolved:
    """The value of a setting for these: the narrowest level that is set wins."""
    scopes = {"tenant": tenant, "service": service, "environment": environment, "global": ""}
    asked = [
        and_(_E.level == level, _E.scope == scope) for level, scope in scopes.items() if scope is not None
    ]
    query = select(CONFIG_ENTRY).where(_E.kind == "value", _E.key == key, _E.value.is_not(None), or_(*asked))
    levels = [entry_view(row) for row in tx.execute(query).mappings()]
    levels.sort(key=lambda entry: NARROWEST_FIRST.index(entry.level))
    winner = levels[0] if levels else None
    return Resolved(
        key=key,
        value=None if winner is None else winner.value,
        level=None if winner is None else winner.level,
        version=None if winner is None else winner.version,
        levels=levels,
    )


def resolve_flag(tx: Connection, key: str, *, tenant: str, tier: str | None, now: datetime) -> Resolved:
    """Whether a flag is on for a tenant of a tier; the tenant's own goes before everybody's."""
    mine = or_(and_(_E.level == "tenant", _E.scope == tenant), _E.level == "global")
    query = select(CONFIG_ENTRY).where(_E.kind == "flag", _E.key == key, _E.value.is_not(None), mine)
    rows = sorted(tx.execute(query).mappings(), key=lambda row: NARROWEST_FIRST.index(row["level"]))
    levels = [entry_view(row) for row in rows]
    if not levels:
        return Resolved(key=key, value=None, level=None, version=None, levels=())
    rule = msgspec.json.decode(rows[0]["value"], type=FlagRule)
    on = is_on(rule, key=key, tenant=tenant, tier=tier, now=now)
    return Resolved(key=key, value=on, level=levels[0].level, version=levels[0].version, levels=levels)


def history(
    tx: Connection, wanted: Wanted, *, limit: int, before: int | None = None
) -> list[tuple[int, ChangeView]]:
    """Changes, the newest first, each with its number; those with smaller numbers than `before`."""
    query = select(CONFIG_CHANGE).where(*_conditions(_C, wanted)).order_by(_C.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_C.id < before)
    return [(row["id"], change_view(row)) for row in tx.execute(query).mappings()]


def changes_after(tx: Connection, place: int, *, limit: int, tenant: str | None = None) -> list[ChangeView]:
    """Changes in the order of the topic, behind a place; those that concern a tenant, or all."""
    query = select(CONFIG_CHANGE).where(_C.seq > place).order_by(_C.seq).limit(limit)
    if tenant is not None:
        query = query.where(or_(_C.level != "tenant", _C.scope == tenant))
    return [change_view(row) for row in tx.execute(query).mappings()]


def value_at(tx: Connection, name: Name, version: int) -> Any:
    """What a name was set to at a version: UNSET, a value or a rule. Raises `InvalidInput` if unknown."""
    query = (
        select(CONFIG_CHANGE)
        .where(book.is_name(CONFIG_CHANGE, name), _C.version == version)
        .order_by(_C.digest.desc())
        .limit(1)
    )
    row = tx.execute(query).mappings().first()
    if row is None:
        raise InvalidInput(
            f"{name.key} has no version {version} on record; `trunkline config history` lists those it has"
        )
    return book.value_of(row)


def diff(tx: Connection, wanted: Wanted, *, since: datetime, until: datetime, limit: int) -> list[Difference]:
    """What is set differently at `until` than at `since`, by key; from the history, up to `limit` names."""
    names = (_C.key, _C.kind, _C.level, _C.scope)
    changed = (
        select(*names)
        .where(*_conditions(_C, wanted), _C.time_us > book.to_us(since), _C.time_us <= book.to_us(until))
        .group_by(*names)
        .order_by(*names)
        .limit(limit)
    )
    found: list[Difference] = []
    for key, kind, level, scope in tx.execute(changed):
        name = Name(kind, level, scope or None, key)
        before, after = _as_of(tx, name, since), _as_of(tx, name, until)
        if (before and before["value"]) == (after and after["value"]):
            continue
        found.append(
            Difference(
                key=key,
                kind=kind,
                level=level,
                scope=scope or None,
                before=None if before is None else json_of(before),
                before_version=None if before is None else before["version"],
                after=None if after is None else json_of(after),
                after_version=None if after is None else after["version"],
            )
        )
    return found


def plans(
    tx: Connection,
    *,
    tenant: str | None = None,
    settled: bool = False,
    limit: int,
    before: str | None = None,
) -> list[PlanView]:
    """Plans, the newest first; those that wait, or with `settled` all; of a tenant's own level, or all."""
    query = select(CONFIG_PLAN).order_by(_P.id.desc()).limit(limit)
    if not settled:
        query = query.where(_P.status.in_(OPEN))
    if tenant is not None:
        query = query.where(_P.level == "tenant", _P.scope == tenant)
    if before is not None:
        query = query.where(_P.id < before)
    return [plan_view(row) for row in tx.execute(query).mappings()]


def plan(tx: Connection, plan_id: str) -> PlanView | None:
    """One plan."""
    row = tx.execute(select(CONFIG_PLAN).where(_P.id == plan_id)).mappings().first()
    return None if row is None else plan_view(row)


def counts(tx: Connection) -> tuple[int, int]:
    """How many names are set, and how many plans wait."""
    set_now = select(func.count()).select_from(CONFIG_ENTRY).where(_E.value.is_not(None))
    waiting = select(func.count()).select_from(CONFIG_PLAN).where(_P.status.in_(OPEN))
    return tx.execute(set_now).scalar_one(), tx.execute(waiting).scalar_one()


def _as_of(tx: Connection, name: Name, moment: datetime) -> RowMapping | None:
    query = (
        select(CONFIG_CHANGE)
        .where(book.is_name(CONFIG_CHANGE, name), _C.time_us <= book.to_us(moment))
        .order_by(_C.version.desc(), _C.digest.desc())
        .limit(1)
    )
    return tx.execute(query).mappings().first()


def _conditions(table: Any, wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.kind is not None:
        found.append(table.kind == wanted.kind)
    if wanted.level is not None:
        found.append(table.level == wanted.level)
    if wanted.scope is not None:
        found.append(table.scope == wanted.scope)
    if wanted.key is not None:
        found.append(table.key == wanted.key)
    if wanted.prefix is not None:
        found.append(table.key.startswith(wanted.prefix, autoescape=True))
    return found
