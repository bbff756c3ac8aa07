"""The catalog: changes, facets, assets, edges, rejected facets, text index."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def version_columns() -> list[sa.Column[Any]]:
    return [
        *(sa.Column(name, NAME, nullable=False) for name in ("tenant", "urn", "name")),
        *(sa.Column(name, INT64, nullable=False) for name in ("rank", "time_us", "weight")),
        *(sa.Column(name, NAME, nullable=False) for name in ("event_id", "source")),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("scalar", NAME),
        sa.Column("ref", NAME),
    ]


def upgrade() -> None:
    op.create_table(
        "catalog_change",
        sa.Column("seq", INT64, primary_key=True, autoincrement=True),
        sa.Column("identity", NAME, nullable=False),
        *version_columns(),
        sa.UniqueConstraint("tenant", "identity", name="catalog_change_identity"),
        sqlite_autoincrement=True,
    )
    op.create_index("catalog_change_by_asset", "catalog_change", ["tenant", "urn", "time_us"])
    op.create_index("catalog_change_by_arrival", "catalog_change", ["tenant", "seq"])
    op.create_table("catalog_facet", *version_columns(), sa.PrimaryKeyConstraint("tenant", "urn", "name"))
    op.create_index("catalog_facet_by_scalar", "catalog_facet", ["tenant", "name", "scalar"])
    op.create_index("catalog_facet_by_ref", "catalog_facet", ["tenant", "ref"])
    op.create_table(
        "catalog_asset",
        sa.Column("row_id", INT64, primary_key=True, autoincrement=True),
        *(sa.Column(name, NAME, nullable=False) for name in ("tenant", "urn", "kind")),
        *(
            sa.Column(name, INT64, nullable=False)
            for name in ("first_us", "newest_us", "defined_us", "deleted_us")
        ),
        sa.UniqueConstraint("tenant", "urn", name="catalog_asset_name"),
    )
    op.create_index("catalog_asset_by_kind", "catalog_asset", ["tenant", "kind", "urn"])
    op.create_table(
        "catalog_edge",
        *(sa.Column(name, NAME, nullable=False) for name in ("tenant", "origin", "target", "kind")),
        sa.Column("since_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "origin", "target", "kind"),
    )
    op.create_index("catalog_edge_by_target", "catalog_edge", ["tenant", "target"])
    op.create_table(
        "catalog_rejected",
        *(sa.Column(name, NAME, nullable=False) for name in ("tenant", "identity")),
        sa.Column("time_us", INT64, nullable=False),
        *(sa.Column(name, NAME, nullable=False) for name in ("event_id", "source")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("urn", "name", "reason")),
        sa.PrimaryKeyConstraint("tenant", "identity"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE catalog_text USING fts5(text, tokenize='unicode61')")
    else:
        op.execute("CREATE TABLE catalog_text (row_id bigint PRIMARY KEY, words tsvector NOT NULL)")
        op.execute("CREATE INDEX catalog_text_words ON catalog_text USING gin (words)")
