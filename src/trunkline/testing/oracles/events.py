"""The log as a table of DuckDB: one row a record, its headers as columns, its value as JSON."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from trunkline.codec.record import Record
from trunkline.testing.checker import EXAMPLES_MAX, Claim

Row: TypeAlias = tuple[Any, ...]

COLUMNS: Final[Mapping[str, str]] = {
    "topic": "VARCHAR",
    "partition": "INTEGER",
    "offset": "BIGINT",
    "tenant": "VARCHAR",
    "source": "VARCHAR",
    "id": "VARCHAR",
    "type": "VARCHAR",
    "time": "TIMESTAMP",
    "data": "JSON",
}


_VIEWS: Final = """
CREATE MACRO said(service) AS TABLE (
  SELECT DISTINCT ON (tenant, topic, id) * RENAME ("offset" AS place) FROM events
  WHERE source = '/' || service ORDER BY tenant, topic, id, place
);
CREATE VIEW ended AS (
  SELECT DISTINCT tenant FROM said('tenant-service') WHERE type = 'tenant.deleted.v1'
);
CREATE MACRO still_said(service) AS TABLE (FROM said(service) ANTI JOIN ended USING (tenant));
"""


class EventLog:
    """Every event of the log, for queries over the table `events` and what is made of it.

    `said('NAME')` are the events that a service has published itself, under its source `/NAME`, each once;
    those of a tenant and a topic are in the order of `place`. `ended` are the tenants that were deleted, and
    `still_said('NAME')` leaves them out, as every service has to.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str) -> list[Row]:
        """The answer to a query."""
        found: list[Row] = self._connection.execute(sql).fetchall()
        return found


@contextmanager
def event_log(records: Iterable[Record]) -> Iterator[EventLog]:
    """The log in a database in memory. Needs the extra `query`."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="trunkline-log-") as folder:
        path = Path(folder) / "events.jsonl"
        with path.open("wb") as file:
            file.writelines(_line(record) for record in records)
        with duckdb.connect(":memory:") as connection:
            columns = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
            read = f"read_json(?, format = 'newline_delimited', columns = {{{columns}}})"
            connection.execute(f"CREATE TABLE events AS FROM {read}", [str(path)])
            connection.execute(_VIEWS)
            yield EventLog(connection)


def compare(name: str, expected: Iterable[Row], found: Iterable[Row]) -> Claim:
    """That two sets of rows are the same; the detail tells how many differ."""
    want, have = set(expected), set(found)
    wrong = [f"missing: {row}" for row in sorted(want - have, key=str)]
    wrong += [f"unexpected: {row}" for row in sorted(have - want, key=str)]
    return Claim(
        name=name,
        holds=not wrong,
        detail=f"{len(want):,} expected, {len(have):,} found, difference {len(wrong):,}",
        examples=tuple(wrong[:EXAMPLES_MAX]),
    )


def _line(record: Record) -> bytes:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    row: dict[str, object] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "tenant": headers.get("ce_tenantid", ""),
        "source": headers.get("ce_source", ""),
        "id": headers.get("ce_id", ""),
        "type": headers.get("ce_type", ""),
        "time": _utc(headers.get("ce_time", "")),
        "data": msgspec.Raw(record.value or b"null"),
    }
    return msgspec.json.encode(row) + b"\n"


def _utc(time: str) -> str | None:
    """The moment without a zone, in UTC: DuckDB needs an extension for zones."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    except ValueError:
        return None
