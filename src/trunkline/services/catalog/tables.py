"""The catalog's tables. `migrations/` creates them; a test holds the two together.

`catalog_change` is everything that was ever said, and never changes; `catalog_facet` is the newest of it by
facet, `catalog_asset` and `catalog_edge` are what is mentioned. All four follow from the set of events alone,
but for `seq` and `row_id`, which are order of arrival. Times are microseconds, see `moments`.
"""

from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final[TypeEngine[int]] = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's INTEGER has 64 bits, and a row number must be of that type."""

Name: Final[TypeEngine[str]] = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte on both databases, so that ties and pages come out the same."""


def _version() -> list[Column[Any]]:
    """One version of a facet; the five columns from `rank` on decide which one is current."""
    return [
        Column("tenant", Name, nullable=False),
        Column("urn", Name, nullable=False),
        Column("name", Name, nullable=False),
        Column("rank", Int64, nullable=False),
        Column("time_us", Int64, nullable=False),
        Column("weight", Int64, nullable=False),
        Column("event_id", Name, nullable=False),
        Column("source", Name, nullable=False),
        Column("live", Boolean, nullable=False),
        Column("value", Text, nullable=False),
        Column("scalar", Name),
        Column("ref", Name),
    ]


CHANGE: Final = Table(
    "catalog_change",
    METADATA,
    Column("seq", Int64, primary_key=True, autoincrement=True),
    Column("identity", Name, nullable=False),
    *_version(),
    UniqueConstraint("tenant", "identity", name="catalog_change_identity"),
    Index("catalog_change_by_asset", "tenant", "urn", "time_us"),
    Index("catalog_change_by_arrival", "tenant", "seq"),
    sqlite_autoincrement=True,
)

FACET: Final = Table(
    "catalog_facet",
    METADATA,
    *_version(),
    PrimaryKeyConstraint("tenant", "urn", "name"),
    Index("catalog_facet_by_scalar", "tenant", "name", "scalar"),
    Index("catalog_facet_by_ref", "tenant", "ref"),
)

ASSET: Final = Table(
    "catalog_asset",
    METADATA,
    # Links an asset to the text index.
    Column("row_id", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Name, nullable=False),
    Column("urn", Name, nullable=False),
    Column("kind", Name, nullable=False),
    # When it was first mentioned; its newest facet, the newest that defines it, its newest tombstone.
    Column("first_us", Int64, nullable=False),
    Column("newest_us", Int64, nullable=False),
    Column("defined_us", Int64, nullable=False),
    Column("deleted_us", Int64, nullable=False),
    UniqueConstraint("tenant", "urn", name="catalog_asset_name"),
    Index("catalog_asset_by_kind", "tenant", "kind", "urn"),
)

EDGE: Final = Table(
    "catalog_edge",
    METADATA,
    Column("tenant", Name, nullable=False),
    Column("origin", Name, nullable=False),
    Column("target", Name, nullable=False),
    Column("kind", Name, nullable=False),
    Column("since_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "origin", "target", "kind"),
    Index("catalog_edge_by_target", "tenant", "target"),
)

REJECTED: Final = Table(
    "catalog_rejected",
    METADATA,
    Column("tenant", Name, nullable=False),
    Column("identity", Name, nullable=False),
    Column("time_us", Int64, nullable=False),
    Column("event_id", Name, nullable=False),
    Column("source", Name, nullable=False),
    Column("urn", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "identity"),
)

ORDER_COLUMNS: Final = ("rank", "time_us", "weight", "event_id", "source")
"""As `facts.Order` has them."""

CATALOG: Final = Component("catalog", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
