"""The tables of a consumer's state. `migrations/` creates them; a test holds the two together."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

METADATA: Final = MetaData()

CONSUMER_POSITION: Final = Table(
    "consumer_position",
    METADATA,
    Column("consumer_group", Text, nullable=False),
    Column("cluster_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    # The cluster's id of the topic, empty where the cluster has none: a recreated topic starts anew.
    Column("topic_id", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("consumer_group", "cluster_id", "topic", "topic_id", "partition"),
    sqlite_with_rowid=False,
)

PROCESSED_EVENT: Final = Table(
    "processed_event",
    METADATA,
    Column("consumer_group", Text, nullable=False),
    Column("tenantid", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    # Fresh ids grow with time, so the id comes early: new rows then share pages instead of touching one for
    # each tenant. Rows are never deleted: a publisher may send an id again after any time, and a log that
    # went back is read again from its beginning.
    PrimaryKeyConstraint("consumer_group", "id", "tenantid", "source"),
    sqlite_with_rowid=False,
)

FAILURE: Final = Table(
    "failure",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("consumer_group", Text, nullable=False),
    Column("cluster_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("topic_id", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    # Of the key, where that is a tenant id.
    Column("tenantid", Text),
    Column("value", LargeBinary),
    # JSON: [[name, base64 of the value or null], ...], in the order of the record.
    Column("headers", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_seen_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    # Why it was discarded, or how a replay settled it.
    Column("note", Text),
    CheckConstraint("status IN ('open', 'replayed', 'discarded')", name="failure_status"),
    UniqueConstraint(
        "consumer_group",
        "cluster_id",
        "topic",
        "topic_id",
        "partition",
        "offset",
        # A cluster that lost the end of its log gives the same offset to another record.
        "timestamp_ms",
        name="failure_position",
    ),
    Index("failure_by_status", "consumer_group", "status", "id"),
    Index("failure_by_tenant", "consumer_group", "topic", "tenantid", "status", "id"),
)

PARKED_TENANT: Final = Table(
    "parked_tenant",
    METADATA,
    Column("consumer_group", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("tenantid", Text, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "tenantid"),
    sqlite_with_rowid=False,
)
