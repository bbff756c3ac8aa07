"""The one name of an asset. Whoever speaks of a table calls it so: publishers, policies, queries, checks.

A table is `urn:table:SCHEMA.TABLE` in lower case. The database is left out: a query engine serves a tenant
one database, in which SQL says `orders`, `main.orders` or `jaffle_shop.main.orders` of the same table, and a
policy that knew it by one spelling only could be walked around with another. Tables of one tenant that have
schema and name in common are therefore one asset, in whichever database they are.

| said as | urn |
|---|---|
| SQL `orders`, with `main` as the schema searched | `urn:table:main.orders` |
| SQL `jaffle_shop.main.Orders` | `urn:table:main.orders` |
| OpenLineage `duckdb://jaffle_shop.duckdb`, `jaffle_shop.main.orders` | `urn:table:main.orders` |
| OpenLineage `s3://lake`, `raw/orders` | `urn:dataset:s3://lake/raw/orders` |
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

TABLE: Final = "urn:table:"
DATASET: Final = "urn:dataset:"
DEFAULT_SCHEMA: Final = "main"
"""Where DuckDB and SQLite look for a name without a schema."""

URN_LENGTH_MAX: Final = 512
"""As `catalogue.events.fields.Urn` has it."""

PART_LENGTH_MAX: Final = 240
"""Of schema and of table, percent-encoded: both with their prefix fit into a URN."""

PATH_SCHEMES: Final = frozenset(
    {"abfss", "dbfs", "eventhubs", "file", "gs", "hdfs", "inmemory", "kafka", "pubsub", "s3", "s3a", "wasbs"}
)
"""Namespaces of OpenLineage whose datasets are no tables (its naming specification lists them)."""

_QUOTES: Final = {'"': '"', "`": "`", "[": "]"}


class TableName(NamedTuple):
    """A table in its schema, both in lower case."""

    schema: str
    table: str


def table_urn(table: str, *, schema: str | None = None) -> str:
    """The URN of a table, from the parts of a name without their quotes; schema `main` unless given."""
    return f"{TABLE}{_part(schema or DEFAULT_SCHEMA)}.{_part(table)}"


def asset_urn(name: str, *, schema: str = DEFAULT_SCHEMA) -> str:
    """The URN of an asset that is named by a URN already, or as SQL names a table.

    Of a dotted name the last two parts count; `schema` is for a name of one part. Idempotent.
    """
    if name.startswith(TABLE):
        parts = [unquote(part) for part in name.removeprefix(TABLE).split(".")]
    elif name.startswith("urn:"):
        return name
    else:
        parts = _split(name)
    return table_urn(parts[-1], schema=parts[-2] if len(parts) > 1 else schema)


def dataset_urn(namespace: str, name: str) -> str:
    """The URN of an OpenLineage dataset: a table, unless its namespace or its name says that it is a path."""
    scheme = namespace.partition(":")[0].lower()
    if scheme in PATH_SCHEMES or "/" in name:
        return _bounded(f"{DATASET}{namespace.rstrip('/')}/{name.lstrip('/')}")
    return asset_urn(name)


def table_of(urn: str) -> TableName | None:
    """The table that a URN names; None for any other asset."""
    schema, dot, table = urn.removeprefix(TABLE).partition(".")
    if not urn.startswith(TABLE) or not dot:
        return None
    return TableName(unquote(schema), unquote(table))


def columns_hash(columns: Iterable[str]) -> str:
    """Tells column sets apart: SHA-256 over the names in lower case, sorted, as 64 hexadecimal digits."""
    return sha256("\0".join(sorted(name.lower() for name in columns)).encode()).hexdigest()


def _split(name: str) -> list[str]:
    """The parts of a dotted name, without the quotes of those that have them."""
    parts, part, until = [], "", ""
    for letter in name.strip():
        if until:
            if letter == until:
                until = ""
            else:
                part += letter
        elif letter in _QUOTES and not part:
            until = _QUOTES[letter]
        elif letter == ".":
            parts.append(part)
            part = ""
        else:
            part += letter
    return [*parts, part]


def _part(text: str) -> str:
    """As part of a URN (RFC 8141): a dot inside of a name must not pass for the one between two names."""
    name = text.lower()
    encoded = _quoted(name)
    if len(encoded) <= PART_LENGTH_MAX:
        return encoded
    tail = "~" + sha256(name.encode()).hexdigest()
    name = name[: PART_LENGTH_MAX - len(tail)]
    while len(encoded := _quoted(name)) > PART_LENGTH_MAX - len(tail):
        name = name[:-1]
    return encoded + tail


def _quoted(name: str) -> str:
    return quote(name, safe="").replace(".", "%2E")


def _bounded(urn: str) -> str:
    """The URN, or for one that is too long its beginning and a hash of all of it."""
    if len(urn) <= URN_LENGTH_MAX:
        return urn
    digest = sha256(urn.encode()).hexdigest()
    return f"{urn[: URN_LENGTH_MAX - len(digest) - 1]}~{digest}"
