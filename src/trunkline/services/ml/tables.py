"""The registry's tables. `migrations/` creates them; a test holds the two together."""

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, PrimaryKeyConstraint, Table, Text
from sqlalchemy.types import TypeEngine

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final[TypeEngine[int]] = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's INTEGER has 64 bits."""

OF_MODEL: Final = 0
"""In the column `version` of a tag: it is the model's own."""

MODEL: Final = Table(
    "ml_model",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("description", Text),
    Column("owner_id", Text),
    # The last number given: numbers of deleted versions are not given again, so the row outlives the model.
    Column("last_version", Int64, nullable=False),
    # The time of the model's newest event; each one is later than the one before it.
    Column("last_us", Int64, nullable=False),
    Column("deleted", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant", "model"),
)

VERSION: Final = Table(
    "ml_version",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("run_id", Text),
    Column("metrics", Text, nullable=False),
    Column("trained_on", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("created_us", Int64, nullable=False),
    # A stage that waits for a second person, and who asked for it.
    Column("wanted_stage", Text),
    Column("wanted_by", Text),
    PrimaryKeyConstraint("tenant", "model", "version"),
)

ALIAS: Final = Table(
    "ml_alias",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("version", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "model", "alias"),
)

TAG: Final = Table(
    "ml_tag",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "model", "version", "key"),
)

DEPLOYMENT: Final = Table(
    "ml_deployment",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("replicas", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "model", "version", "endpoint"),
)

REQUEST: Final = Table(
    "ml_request",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("key", Text, nullable=False),
    # What was asked for under the key, and which version came of it (`OF_MODEL` for a model).
    Column("request_hash", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "key"),
)

ALL_TABLES: Final = (REQUEST, DEPLOYMENT, TAG, ALIAS, VERSION, MODEL)

REGISTRY: Final = Component("ml", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
