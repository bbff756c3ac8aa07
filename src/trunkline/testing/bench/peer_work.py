"""The durable work of a consumer, in two ways: by Trunkline's own codec and store, and as teams write it.

Both do it in one transaction on the same database with the same durability: note how far each partition is,
drop what has been processed before, insert a row an event.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Literal

from sqlalchemy import Column, Connection, Integer, MetaData, PrimaryKeyConstraint, Table, Text, insert
from sqlalchemy.dialects import sqlite

from trunkline.client.batch import decode_or_refuse
from trunkline.client.handler import Received
from trunkline.client.store import Store, dedupe, position
from trunkline.client.store.position import Lane
from trunkline.codec.record import Record

METADATA: Final = MetaData()
"""What the benchmark keeps beside a store's own tables."""

_APPLIED: Final = Table(
    "applied",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("tenantid", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
)
_INBOX: Final = Table(
    "inbox",
    METADATA,
    Column("consumer_group", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("tenantid", Text, nullable=False),
    Column("source", Text, nullable=False),
    PrimaryKeyConstraint("consumer_group", "event_id", "tenantid", "source"),
    sqlite_with_rowid=False,
)
_OFFSET: Final = Table(
    "inbox_offset",
    METADATA,
    Column("consumer_group", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("next_offset", Integer, nullable=False),
    PrimaryKeyConstraint("consumer_group", "topic", "partition"),
    sqlite_with_rowid=False,
)

_INSERT: Final = insert(_APPLIED)
_CLAIM: Final = (
    sqlite.insert(_INBOX)
    .on_conflict_do_nothing()
    .returning(_INBOX.c.tenantid, _INBOX.c.source, _INBOX.c.event_id)
)
_ADVANCE: Final = sqlite.insert(_OFFSET)
_MOVE: Final = _ADVANCE.on_conflict_do_update(
    index_elements=_OFFSET.primary_key.columns, set_={"next_offset": _ADVANCE.excluded.next_offset}
)
_PLACE: Final = attrgetter("partition", "offset")


@dataclass(frozen=True, slots=True)
class Taken:
    """An event as a team's own code has it."""

    topic: str
    partition: int
    offset: int
    tenantid: str
    source: str
    id: str
    type: str


def insert_rows(tx: Connection, events: Sequence[Received]) -> None:
    """The effect that all have in common."""
    tx.execute(
        _INSERT,
        [
            {"tenantid": item.event.tenantid, "event_id": item.event.id, "type": item.event.type}
            for item in events
        ],
    )


def apply_records(store: Store, group: str, records: Iterable[Record]) -> None:
    """By the same functions as the runtime, a transaction a partition."""
    for _, batch in groupby(sorted(records, key=_PLACE), key=attrgetter("partition")):
        _apply_partition(store, group, list(batch))


class _KnownError(Exception):
    """Some of the batch was applied before; rolls back."""


def _apply_partition(store: Store, group: str, records: Sequence[Record]) -> None:
    received = [decode_or_refuse(record) for record in records]
    events = [item for item in received if isinstance(item, Received)]
    first, target = records[0], records[-1].offset + 1
    lane = Lane(group=group, cluster_id="", topic=first.topic, topic_id="", partition=first.partition)
    with suppress(_KnownError), store.write() as tx:
        stored = position.read(tx, [lane])[lane]
        position.advance(tx, lane, expected=stored, target=target)
        if not dedupe.claim(tx, group, events):
            raise _KnownError
        insert_rows(tx, events)
        return
    with store.write() as tx:
        position.advance(tx, lane, expected=stored, target=target)
        sifted = dedupe.sift(tx, group, events)
        insert_rows(tx, sifted.fresh)
        dedupe.remember(tx, group, sifted.fresh, sifted.digests)


def apply_taken(store: Store, group: str, events: Sequence[Taken]) -> None:
    """With SQLAlchemy as its manual shows it: an inbox table tells what is new, in one transaction."""
    distinct: dict[tuple[str, str, str], Taken] = {}
    for item in events:
        distinct.setdefault((item.tenantid, item.source, item.id), item)
    ends = {(item.topic, item.partition): item.offset + 1 for item in events}
    with store.write() as tx:
        tx.execute(
            _MOVE,
            [
                {"consumer_group": group, "topic": topic, "partition": partition, "next_offset": offset}
                for (topic, partition), offset in ends.items()
            ],
        )
        claimed = tx.execute(
            _CLAIM,
            [
                {
                    "consumer_group": group,
                    "event_id": item.id,
                    "tenantid": item.tenantid,
                    "source": item.source,
                }
                for item in distinct.values()
            ],
        )
        fresh = {tuple(row) for row in claimed}
        rows = [
            {"tenantid": item.tenantid, "event_id": item.id, "type": item.type}
            for identity, item in distinct.items()
            if identity in fresh
        ]
        if rows:
            tx.execute(_INSERT, rows)


class Models:
    """The event and its context for pydantic, which is a peer's and not always installed."""

    def __init__(self) -> None:
        from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

        class QueryCompleted(BaseModel):
            model_config = ConfigDict(frozen=True)

            query_id: str = Field(min_length=1, max_length=256)
            user_id: str = Field(min_length=1, max_length=256)
            engine: Literal["duckdb", "trino", "spark", "clickhouse", "postgres", "other"]
            sql_fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
            tables: tuple[str, ...] = ()
            duration_us: int = Field(ge=0)
            cpu_us: int = Field(ge=0)
            rows_returned: int = Field(ge=0)
            rows_scanned: int = Field(ge=0)
            bytes_scanned: int = Field(ge=0)
            cache_hit: bool = False
            origin: str = "user"
            policy_revision: int = Field(default=0, ge=0)

        class Context(BaseModel):
            model_config = ConfigDict(frozen=True)

            ce_specversion: Literal["1.0"]
            ce_id: str = Field(min_length=1, max_length=2_048)
            ce_source: str = Field(min_length=1, max_length=2_048)
            ce_type: Literal["query.completed.v1"]
            ce_tenantid: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
            ce_time: AwareDatetime
            ce_subject: str | None = None
            ce_correlationid: str | None = None

        self.data = QueryCompleted
        self._context = Context

    def taken(self, place: tuple[str, int, int], headers: Mapping[str, Any]) -> Taken:
        """The context in these headers; the data has been validated by the framework."""
        context = self._context.model_validate(headers)
        return Taken(*place, context.ce_tenantid, context.ce_source, context.ce_id, context.ce_type)


class Reader:
    """Reads events with the CloudEvents project's own library, and validates their data with pydantic."""

    def __init__(self) -> None:
        from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
        from cloudevents.core.formats.json import JSONFormat
        from cloudevents.core.v1.event import CloudEvent

        self._message = KafkaMessage
        self._read = from_binary
        self._event = CloudEvent
        self._format = JSONFormat()
        self._data = Models().data

    def taken(self, message: Any) -> Taken:
        """The event in aiokafka's record."""
        event = self._read(
            self._message(headers=dict(message.headers), key=message.key, value=message.value),
            self._format,
            self._event,
        )
        self._data.model_validate(event.get_data())
        assert isinstance(event.get_time(), datetime), "the contract's events have a time"
        return Taken(
            message.topic,
            message.partition,
            message.offset,
            event.get_extension("tenantid"),
            event.get_source(),
            event.get_id(),
            event.get_type(),
        )
