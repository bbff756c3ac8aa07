"""What an event says, as facts that can be put together in any order. Pure.

A facet is one named part of what is known of an asset: its stage, a tag, its classification. Every event that
speaks of it gives a version of the facet, and the current one is the greatest by `Facet.order`: by rank, then
by the event's own time, weight and identity. So the state is a maximum over a set of events, and a maximum
depends neither on their order nor on how often each of them came.

`rank` is the version or revision that a policy, a withdrawal or a bundle has of its own, and 0 elsewhere.
`weight` decides between two events of one time where one of them must win, as a release does over the
quarantine that it ends.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from trunkline.services.catalog import urns

FACET_BYTES_MAX: Final = 256 * 1024
"""Of one facet as JSON. A message may hold four times as much, and history keeps every version."""

NAME_BYTES_MAX: Final = 1_100
"""Of a URN, the name of a facet or a scalar: two of them with a tenant fit into PostgreSQL's index entries,
and so does every name of 256 characters of any script."""

DELETED: Final = "deleted"
"""The facet that is a tombstone: nothing that is not newer than it shows."""

DEFINING: Final = frozenset({"model", "version", "policy", "bundle"})
"""The facets that make an asset known, rather than only mentioned."""

TRAINED_ON: Final = "trained_on"
VERSION_OF: Final = "version_of"
COLUMN_OF: Final = "column_of"


class Order(NamedTuple):
    """What decides which of two versions of a facet is current: the greater one."""

    rank: int
    time_us: int
    weight: int
    event_id: str
    source: str


class Facet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version of a facet, from one event.

    `live` is False where the event takes the facet away; its value then tells who did it and why. `scalar` is
    what a search compares, `ref` the URN of another asset that it points to.
    """

    urn: str
    name: str
    value: dict[str, Any]
    live: bool = True
    scalar: str | None = None
    ref: str | None = None
    rank: int = 0
    weight: int = 0


class Edge(NamedTuple):
    """`target` depends on `origin`, or is what it belongs to. Edges are only ever added."""

    origin: str
    target: str
    kind: str


class Rejected(NamedTuple):
    """One part of an event that was left out, and why; the rest of the event was kept."""

    urn: str
    name: str
    reason: str


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything one event says. `mentions` are assets that it names; those of facets are among them."""

    facets: tuple[Facet, ...] = ()
    mentions: tuple[str, ...] = ()
    edges: tuple[Edge, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def checked(
    facets: Iterable[Facet],
    *,
    mentions: Iterable[str] = (),
    edges: Iterable[Edge] = (),
    rejected: Iterable[Rejected] = (),
) -> Facts:
    """The facts without the facets that cannot be kept, which are among the rejected ones instead."""
    kept: list[Facet] = []
    refused = list(rejected)
    for facet in facets:
        reason = _why_not(facet)
        if reason is None:
            kept.append(facet)
        else:
            refused.append(Rejected(facet.urn, facet.name, reason))
    named = {urn for urn in mentions if _why_no_urn(urn) is None}
    named.update(facet.urn for facet in kept)
    named.update(facet.ref for facet in kept if facet.ref is not None)
    return Facts(
        facets=tuple(kept),
        mentions=tuple(sorted(named)),
        edges=tuple(edge for edge in edges if edge.origin in named and edge.target in named),
        rejected=tuple(refused),
    )


_FREE_NAMES: Final = (urns.MODEL, urns.MODEL_VERSION, urns.POLICY)
"""Assets whose names people choose, spaces and all."""


def _why_not(facet: Facet) -> str | None:
    """Why a facet cannot be kept; None if it can."""
    for urn in (facet.urn, facet.ref):
        if urn is not None and (reason := _why_no_urn(urn)) is not None:
            return reason
    for text in (facet.name, facet.scalar or ""):
        if (reason := _why_no_text(text)) is not None:
            return reason
    size = len(msgspec.json.encode(facet.value))
    return f"it takes {size} bytes of {FACET_BYTES_MAX}" if size > FACET_BYTES_MAX else None


def _why_no_urn(urn: str) -> str | None:
    return _why_no_text(urn) or (None if urn.startswith(_FREE_NAMES) else urns.why_no_asset(urn))


def _why_no_text(text: str) -> str | None:
    if "\0" in text:
        return "it contains NUL, which no database keeps"
    size = len(text.encode(errors="replace"))
    return f"{text[:40]!r}… takes {size} bytes of {NAME_BYTES_MAX}" if size > NAME_BYTES_MAX else None
