"""A version of a policy, as publisher and enforcers share it, and what its scope covers. Pure and light."""

import re
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from trunkline.catalogue.assets import table_of, table_urn
from trunkline.catalogue.events.fields import Identifier, Positive, Reason, Sql, Urn
from trunkline.catalogue.events.policy import Kind, Mode, PolicyPublished
from trunkline.errors import InvalidInput

ALL: Final = "*"
TAG: Final = "urn:tag:"
SCHEMA: Final = "urn:schema:"
COLUMN: Final = "urn:column:"

Covers: TypeAlias = Literal["all", "tag", "schema", "table", "column"]

_NAME: Final = re.compile(r"[^\s.\"'`]{1,240}")


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a policy. `(policy_id, version)` never changes its content.

    `body` is by kind: Cedar text for `access` and `quarantine`, an SQL predicate for `row_filter`, an SQL
    expression for `mask` in which `_` or the column's name is the value, an ISO 8601 duration for
    `retention`. SQL is DuckDB's. The policy concerns queries of what its `scope` covers and no others: also
    a Cedar text that names no resource says nothing about a table outside of the scope.
    """

    policy_id: Identifier
    version: Positive
    kind: Kind
    mode: Mode
    scope: Urn
    body: Sql
    title: Reason | None = None


class Scope(NamedTuple):
    """What a scope covers. Names are in lower case, as `catalogue.assets` has them; a tag is as written."""

    covers: Covers
    schema: str | None = None
    table: str | None = None
    column: str | None = None
    tag: str | None = None

    def has_table(self, schema: str, table: str, tags: frozenset[str] = frozenset()) -> bool:
        """Whether a table, or one of its columns, is covered. A tag covers the tables that bear it."""
        match self.covers:
            case "all":
                return True
            case "tag":
                return self.tag in tags
            case "schema":
                return self.schema == schema
            case _:
                return (self.schema, self.table) == (schema, table)


def scope_of(text: str) -> Scope:
    """What a scope in its written form covers. Raises `InvalidInput` for what is none."""
    if text == ALL:
        return Scope("all")
    if text.startswith(TAG):
        return Scope("tag", tag=_name(text.removeprefix(TAG), text))
    if text.startswith(SCHEMA):
        return Scope("schema", schema=_name(text.removeprefix(SCHEMA), text).lower())
    if text.startswith(COLUMN):
        owner, _, column = text.removeprefix(COLUMN).rpartition(".")
        schema, _, table = owner.partition(".")
        names = [_name(part, text).lower() for part in (schema, table, column)]
        return Scope("column", names[0], names[1], names[2])
    named = table_of(text)
    if named is None:
        raise _refused(text)
    return Scope("table", _name(named.schema, text).lower(), _name(named.table, text).lower())


def written(scope: Scope) -> str:
    """The one written form of a scope: `scope_of` reads it back, whatever form it was given in."""
    match scope:
        case Scope(covers="all"):
            return ALL
        case Scope(covers="tag", tag=str(tag)):
            return f"{TAG}{tag}"
        case Scope(covers="schema", schema=str(schema)):
            return f"{SCHEMA}{schema}"
        case Scope(covers="column", schema=str(schema), table=str(table), column=str(column)):
            return f"{COLUMN}{schema}.{table}.{column}"
        case Scope(covers="table", schema=str(schema), table=str(table)):
            return table_urn(table, schema=schema)
    raise AssertionError(scope)


def table_covering(urn: str) -> str | None:
    """The URN of the table that an asset is or belongs to; None for what is neither table nor column."""
    try:
        scope = scope_of(urn)
    except InvalidInput:
        return None
    if scope.table is None or scope.schema is None:
        return None
    return table_urn(scope.table, schema=scope.schema)


def policy_published(event: PolicyPublished) -> Policy:
    """The policy that an event makes known."""
    return Policy(
        policy_id=event.policy_id,
        version=event.version,
        kind=event.kind,
        mode=event.mode,
        scope=event.scope,
        body=event.body,
        title=event.title,
    )


def _name(part: str, text: str) -> str:
    if not _NAME.fullmatch(part):
        raise _refused(text)
    return part


def _refused(text: str) -> InvalidInput:
    return InvalidInput(
        f"scope {text[:120]!r}: write urn:table:SCHEMA.TABLE, urn:column:SCHEMA.TABLE.COLUMN, "
        "urn:schema:SCHEMA, urn:tag:TAG, or * for all"
    )
