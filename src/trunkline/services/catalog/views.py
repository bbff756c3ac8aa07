"""What queries answer with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

State: TypeAlias = Literal["defined", "mentioned", "deleted"]
"""`mentioned`: events speak of it and none has defined it. Tables and columns are only ever mentioned."""

Direction: TypeAlias = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetView:
    """One named part of what is known of an asset, and the event that said so."""

    name: str
    value: dict[str, Any]
    time: datetime
    event_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """What governance says of an asset. `in_force`: a quarantine, or a policy that the active bundle has."""

    kind: Literal["quarantine", "policy"]
    name: str
    mode: str
    in_force: bool
    since: datetime
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    """An asset as it is, or as it was at `as_of`."""

    urn: str
    kind: str
    name: str
    state: State
    first_seen: datetime
    changed_at: datetime | None
    deleted_at: datetime | None
    as_of: datetime | None
    facets: tuple[FacetView, ...]
    badges: tuple[Badge, ...]

    def facet(self, name: str) -> FacetView | None:
        """The facet of this name; None if the asset does not have it."""
        return next((facet for facet in self.facets if facet.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An asset in a list."""

    urn: str
    kind: str
    name: str
    state: State
    changed_at: datetime | None
    stage: str | None
    classification: str | None
    quarantine: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One event's word on one facet. `removed`: it took the facet away. `seq` is the order of arrival."""

    seq: int
    urn: str
    facet: str
    value: dict[str, Any]
    removed: bool
    time: datetime
    event_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Changes in the order in which they arrived. `cursor` goes on behind the last, also behind none."""

    items: tuple[ChangeView, ...]
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A facet that two sides do not have alike; None where a side does not have it."""

    facet: str
    left: dict[str, Any] | None
    right: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An asset on the way, and how many steps away."""

    urn: str
    kind: str
    depth: int
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """`target` depends on `origin`."""

    origin: str
    target: str
    kind: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What an asset depends on, or what depends on it. `truncated`: there is more than is shown."""

    urn: str
    direction: Direction
    depth: int
    nodes: tuple[Node, ...]
    edges: tuple[EdgeView, ...]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """A version of a model, with the aliases that point to it."""

    model: str
    version: int
    urn: str
    stage: str | None
    aliases: tuple[str, ...]
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasView:
    """Where an alias points; `pending` while the version is not known."""

    model: str
    alias: str
    version: int
    urn: str
    pending: bool
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A model or version that is spoken of and not known, and the facets that speak of it."""

    urn: str
    kind: str
    first_seen: datetime
    referred_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedView:
    """A part of an event that was left out."""

    urn: str
    facet: str
    reason: str
    time: datetime
    event_id: str
    source: str
