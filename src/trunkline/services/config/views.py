"""What readers of the configuration get, and how it is made of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import RowMapping

from trunkline.catalogue.events.config import Level
from trunkline.client.broadcast.entries import Kind
from trunkline.services.config import book
from trunkline.services.config.plans import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """What a name is set to; `value` is None where `in_force` is False. Of a flag it is its rule."""

    key: str
    kind: Kind
    level: Level
    scope: str | None
    version: int
    in_force: bool
    value: Any
    updated_at: datetime
    updated_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One version of a name: who set it to what, when and why. `place` is its order on the topic."""

    key: str
    kind: Kind
    level: Level
    scope: str | None
    version: int
    in_force: bool
    value: Any
    actor: str
    reason: str | None
    at: datetime
    origin: str
    event_id: str
    place: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The value that holds, and every level that is set, the winner first. `value` is None for none."""

    key: str
    value: Any
    level: Level | None
    version: int | None
    levels: Sequence[EntryView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A name between two moments; a version of None: not on record then."""

    key: str
    kind: Kind
    level: Level
    scope: str | None
    before: Any
    before_version: int | None
    after: Any
    after_version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A change that waits, or what became of it."""

    id: str
    key: str
    kind: Kind
    level: Level
    scope: str | None
    unset: bool
    value: Any
    actor: str
    reason: str | None
    expected: int | None
    created_at: datetime
    due_at: datetime
    status: Status
    approved_by: str | None
    settled_at: datetime | None
    version: int | None
    note: str | None


def entry_view(row: RowMapping) -> EntryView:
    """The entry in a row."""
    return EntryView(
        key=row["key"],
        kind=row["kind"],
        level=row["level"],
        scope=row["scope"] or None,
        version=row["version"],
        in_force=row["value"] is not None,
        value=json_of(row),
        updated_at=book.from_us(row["updated_us"]),
        updated_by=row["updated_by"],
    )


def change_view(row: RowMapping) -> ChangeView:
    """The change in a row."""
    return ChangeView(
        key=row["key"],
        kind=row["kind"],
        level=row["level"],
        scope=row["scope"] or None,
        version=row["version"],
        in_force=row["value"] is not None,
        value=json_of(row),
        actor=row["actor"],
        reason=row["reason"],
        at=book.from_us(row["time_us"]),
        origin=row["origin"],
        event_id=row["event_id"],
        place=row["seq"],
    )


def plan_view(row: RowMapping) -> PlanView:
    """The plan in a row."""
    return PlanView(
        id=row["id"],
        key=row["key"],
        kind=row["kind"],
        level=row["level"],
        scope=row["scope"] or None,
        unset=row["value"] is None,
        value=json_of(row),
        actor=row["actor"],
        reason=row["reason"],
        expected=row["expected"],
        created_at=book.from_us(row["created_us"]),
        due_at=book.from_us(row["due_us"]),
        status=Status(row["status"]),
        approved_by=row["approved_by"],
        settled_at=None if row["settled_us"] is None else book.from_us(row["settled_us"]),
        version=row["version"],
        note=row["note"],
    )


def json_of(row: RowMapping) -> Any:
    """The value in a row as JSON has it; None for what is unset."""
    return None if row["value"] is None else msgspec.json.decode(row["value"])
