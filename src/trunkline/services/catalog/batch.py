"""The facts of a batch of events, put together as the rows that the store takes. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import msgspec

from trunkline.catalogue.events import Event
from trunkline.client.store.text import storable
from trunkline.codec import Envelope
from trunkline.services.catalog import urns
from trunkline.services.catalog.facts import DEFINING, DELETED, Facet, Facts, Order, Rejected
from trunkline.services.catalog.moments import NEVER, to_us
from trunkline.services.catalog.reading import facts_of

Row: TypeAlias = dict[str, Any]
AssetKey: TypeAlias = tuple[str, str]
"""Tenant and URN."""

IDENTITY_BYTES: Final = 16


@dataclass(slots=True)
class Batch:
    """Rows by table, each key once: what comes of a batch is the maximum of what its events say.

    `facets` holds the newest version of each facet within the batch, `changes` all of them.
    """

    changes: dict[AssetKey, Row] = field(default_factory=dict)
    facets: dict[tuple[str, str, str], tuple[Order, Row]] = field(default_factory=dict)
    assets: dict[AssetKey, Row] = field(default_factory=dict)
    edges: dict[tuple[str, str, str, str], Row] = field(default_factory=dict)
    rejected: dict[AssetKey, Row] = field(default_factory=dict)

    @property
    def tenants(self) -> list[str]:
        """Whose assets the batch is about."""
        return sorted({tenant for tenant, _ in self.assets} | {tenant for tenant, _ in self.rejected})


def gathered(events: Iterable[Envelope[Event]]) -> Batch:
    """The rows that these events come to, in whatever order they are."""
    batch = Batch()
    for event in events:
        facts = facts_of(event.data)
        if facts is not None:
            _gather(batch, event, facts)
    return batch


def _gather(batch: Batch, event: Envelope[Event], facts: Facts) -> None:
    tenant, time_us = event.tenantid, to_us(event.time)
    for urn in facts.mentions:
        _mention(batch, tenant, urn, time_us)
    for facet in facts.facets:
        _add_facet(batch, event, facet, time_us)
    for edge in facts.edges:
        row = batch.edges.setdefault(
            (tenant, *edge), {"tenant": tenant, **edge._asdict(), "since_us": time_us}
        )
        row["since_us"] = min(row["since_us"], time_us)
    for rejected in facts.rejected:
        _reject(batch, event, rejected, time_us)


def _add_facet(batch: Batch, event: Envelope[Event], facet: Facet, time_us: int) -> None:
    order = Order(facet.rank, time_us, facet.weight, event.id, event.source)
    row: Row = {
        "tenant": event.tenantid,
        "urn": facet.urn,
        "name": facet.name,
        **order._asdict(),
        "live": facet.live,
        "value": msgspec.json.encode(facet.value, order="sorted").decode(),
        "scalar": facet.scalar,
        "ref": facet.ref,
    }
    identity = _identity(event, facet.urn, facet.name)
    batch.changes[event.tenantid, identity] = {"identity": identity, **row}
    key = (event.tenantid, facet.urn, facet.name)
    known = batch.facets.get(key)
    if known is None or known[0] < order:
        batch.facets[key] = (order, row)
    asset = batch.assets[event.tenantid, facet.urn]
    newest = "deleted_us" if facet.name == DELETED else "newest_us"
    asset[newest] = max(asset[newest], time_us)
    if facet.name in DEFINING:
        asset["defined_us"] = max(asset["defined_us"], time_us)


def _mention(batch: Batch, tenant: str, urn: str, time_us: int) -> None:
    row = batch.assets.get((tenant, urn))
    if row is None:
        batch.assets[tenant, urn] = {
            "tenant": tenant,
            "urn": urn,
            "kind": urns.kind_of(urn),
            "first_us": time_us,
            "newest_us": NEVER,
            "defined_us": NEVER,
            "deleted_us": NEVER,
        }
    else:
        row["first_us"] = min(row["first_us"], time_us)


def _reject(batch: Batch, event: Envelope[Event], rejected: Rejected, time_us: int) -> None:
    identity = _identity(event, rejected.urn, rejected.name)
    batch.rejected[event.tenantid, identity] = {
        "tenant": event.tenantid,
        "identity": identity,
        "time_us": time_us,
        "event_id": event.id,
        "source": event.source,
        "urn": storable(rejected.urn),
        "name": storable(rejected.name),
        "reason": storable(rejected.reason),
    }


def _identity(event: Envelope[Event], urn: str, name: str) -> str:
    """Of one event's word on one facet; as short as it is because it is an index's key."""
    parts = msgspec.json.encode((event.source, event.id, urn, name))
    return blake2b(parts, digest_size=IDENTITY_BYTES).hexdigest()
