"""Tags of assets, for people to see: an open anomaly, an agreement that was not kept. They decide nothing.

An anomaly's tag goes when it is resolved; that of a broken agreement when a check of its dimension passes
later. No stone is kept of what is gone: a tenant's events come in order.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

from sqlalchemy import Connection, delete, insert, select, tuple_

from trunkline.services.governance.quarantines import Place
from trunkline.services.governance.tables import TAG

ANOMALY: Final = "anomaly"
SLA_BREACHED: Final = "sla_breached"

TagKey: TypeAlias = tuple[str, str, str, str]
"""Tenant, asset, tag, and what it refers to."""

_KEY: Final = (TAG.c.tenant, TAG.c.asset, TAG.c.tag, TAG.c.ref)
_Row: TypeAlias = dict[str, str | int | None]


class Tags:
    """The tags of a batch's assets in one transaction."""

    def __init__(self, tx: Connection, places: Iterable[Place]) -> None:
        self._tx = tx
        wanted = sorted(set(places))
        found = tx.execute(select(TAG).where(tuple_(TAG.c.tenant, TAG.c.asset).in_(wanted)))
        self._rows: dict[TagKey, _Row] = {tuple(row[:4]): dict(row._mapping) for row in found}
        self._touched: set[TagKey] = set()

    def put(self, key: TagKey, *, detail: str, time_us: int, dimension: str | None = None) -> None:
        """Tag an asset."""
        row = {**dict(zip(("tenant", "asset", "tag", "ref"), key, strict=True))}
        self._rows[key] = {**row, "dimension": dimension, "detail": detail, "time_us": time_us}
        self._touched.add(key)

    def drop(self, key: TagKey) -> None:
        """Take a tag away."""
        if self._rows.pop(key, None) is not None:
            self._touched.add(key)

    def passed(self, place: Place, *, dimension: str, time_us: int) -> None:
        """A check of this dimension has passed: agreements broken before are kept again."""
        for key, row in list(self._rows.items()):
            if key[:2] != place or key[2] != SLA_BREACHED or row["dimension"] != dimension:
                continue
            broken = row["time_us"]
            if isinstance(broken, int) and broken < time_us:
                self.drop(key)

    def save(self) -> None:
        """Write what changed."""
        if not self._touched:
            return
        self._tx.execute(delete(TAG).where(tuple_(*_KEY).in_(sorted(self._touched))))
        rows = [self._rows[key] for key in sorted(self._touched) if key in self._rows]
        if rows:
            self._tx.execute(insert(TAG), rows)
