"""A version of a policy, as publisher and enforcers share it, and what its scope covers. Pure and light."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

import msgspec

from trunkline.catalogue.assets import TABLE, asset_urn
from trunkline.catalogue.events.fields import Identifier, Positive, Reason, Sql, Urn
from trunkline.catalogue.events.policy import Kind, Mode, PolicyPublished
from trunkline.errors import InvalidInput

ALL: Final = "*"
TAG: Final = "urn:tag:"
SCHEMA: Final = "urn:schema:"
COLUMN: Final = "urn:column:"

Covers: TypeAlias = Literal["all", "tag", "schema", "table", "column"]

NAME_LENGTH_MAX: Final = 240
"""Of a schema, a table, a column or a tag."""


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
    """What a scope covers. Names are as `catalogue.assets.table_of` gives them, a tag is as written."""

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
    if text.startswith((TABLE, COLUMN)):
        covers: Covers = "table" if text.startswith(TABLE) else "column"
        names = [_name(part, text).lower() for part in text.split(":", 2)[2].split(".")]
        if len(names) == (2 if covers == "table" else 3):
            return Scope(covers, *names)
    raise _refused(text)


def written(scope: Scope) -> str:
    """The one written form of a scope: `scope_of` reads it back."""
    match scope.covers:
        case "all":
            return ALL
        case "tag":
            return f"{TAG}{_part(scope.tag)}"
        case "schema":
            return f"{SCHEMA}{_part(scope.schema)}"
        case "table":
            return f"{TABLE}{_part(scope.schema)}.{_part(scope.table)}"
        case "column":
            return f"{COLUMN}{_part(scope.schema)}.{_part(scope.table)}.{_part(scope.column)}"


def table_covering(urn: str) -> str | None:
    """The URN of the table that an asset is or belongs to; None for what is neither table nor column."""
    try:
        scope = scope_of(urn)
    except InvalidInput:
        return None
    return None if scope.table is None else written(Scope("table", scope.schema, scope.table))


def asset_key(urn: str) -> str:
    """The one spelling of an asset that policies may be about: of a table or a column in any other.

    Names in upper case, or percent-encoded in another way, are of the same table.
    """
    if urn.startswith(TABLE):
        return asset_urn(urn)
    try:
        scope = scope_of(urn)
    except InvalidInput:
        return urn
    return written(scope) if scope.covers == "column" else urn


def as_drafted(items: Iterable[object]) -> list[Policy]:
    """Policies as people write them: of version 1, and enforced, unless they say otherwise.

    Raises `msgspec.ValidationError`.
    """
    completed = [
        {"version": 1, "mode": "enforce", **item} if isinstance(item, dict) else item for item in items
    ]
    return msgspec.convert(completed, list[Policy])


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
    name = unquote(part)
    if not 1 <= len(name) <= NAME_LENGTH_MAX or "\0" in name:
        raise _refused(text)
    return name


def _part(name: str | None) -> str:
    """As `catalogue.assets` writes it: a dot inside of a name must not pass for the one between two names."""
    assert name is not None
    return quote(name, safe="").replace(".", "%2E")


def _refused(text: str) -> InvalidInput:
    return InvalidInput(
        f"scope {text[:120]!r}: write urn:table:SCHEMA.TABLE, urn:column:SCHEMA.TABLE.COLUMN, "
        "urn:schema:SCHEMA, urn:tag:TAG, or * for all"
    )
