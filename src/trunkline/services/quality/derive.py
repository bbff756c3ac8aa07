"""What a statement takes for granted about columns, as candidates for checks. Pure; no literal is kept.

| in the statement | candidate |
|---|---|
| `c IS NOT NULL` | completeness of c |
| `c IN ('a', 'b')` | accepted values of c; which ones is for whoever activates it |
| `CAST(c AS t)` | validity: c can be read as t |
| `a.x = b.y` in a join | uniqueness of the side that is a key, and that the other one refers to it |

A column counts only where it is certain whose it is: it is qualified, or there is one table to choose from.
Which side of a join is a key is told by the names: `id`, `order_id` and `o_orderkey` name the table `orders`
that they are in. Joins of two tables over several columns say nothing of one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeAlias

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from trunkline.services.kit.sql import TooDeep, dialect_of, parse

Kind: TypeAlias = Literal["not_null", "accepted_values", "castable", "unique", "references"]

SQL_LENGTH_MAX: Final = 20_000
"""Longer statements are generated, and take long to parse."""

CANDIDATES_MAX: Final = 50
"""Of one statement."""

CACHE_LENGTH_MAX: Final = 4_000
CACHE_STATEMENTS: Final = 1_024

_DIALECTS: Final = {"duckdb", "trino", "spark", "clickhouse", "postgres"}
_KEY_WORDS: Final = ("_id", "_key", "key", "id", "_sk", "_pk")


class Candidate(NamedTuple):
    """A check that could be, of a column as the statement names it. `detail` is a type, or another column.

    The parts of another column, which may have dots in them, are separated by NUL.
    """

    kind: Kind
    schema: str
    table: str
    column: str
    detail: str = ""


class Unreadable(Exception):  # noqa: N818 - named for what the statement is
    """A statement that cannot be read, or is too long to be."""


class _Column(NamedTuple):
    schema: str
    table: str
    name: str


def candidates(sql: str, engine: str) -> tuple[Candidate, ...]:
    """The candidates in a statement, each once and in a fixed order. Raises `Unreadable`."""
    if len(sql) > SQL_LENGTH_MAX:
        raise Unreadable(f"longer than {SQL_LENGTH_MAX} characters")
    dialect = engine if engine in _DIALECTS else ""
    return (_cached if len(sql) <= CACHE_LENGTH_MAX else _candidates)(sql, dialect)


def _candidates(sql: str, dialect: str) -> tuple[Candidate, ...]:
    try:
        found = {
            one
            for statement in parse(sql, dialect_of(dialect))
            if statement is not None
            for scope in traverse_scope(statement)
            for one in _of_scope(scope)
        }
    except (SqlglotError, TooDeep, RecursionError) as error:
        raise Unreadable(type(error).__name__) from error
    return tuple(sorted(found)[:CANDIDATES_MAX])


_cached: Final = lru_cache(maxsize=CACHE_STATEMENTS)(_candidates)


def _of_scope(scope: Scope) -> Iterator[Candidate]:
    tables = {alias: source for alias, source in scope.sources.items() if isinstance(source, exp.Table)}
    pairs: list[tuple[_Column, _Column]] = []
    for node in scope.walk():
        if isinstance(node, exp.Not) and isinstance(node.this, exp.Is):
            if isinstance(node.this.expression, exp.Null):
                yield from _single("not_null", node.this.this, scope, tables)
        elif isinstance(node, exp.In) and not isinstance(node.parent, exp.Not):
            values = node.expressions
            if len(values) > 1 and all(isinstance(value, exp.Literal) for value in values):
                yield from _single("accepted_values", node.this, scope, tables)
        elif isinstance(node, exp.Cast):
            yield from _single("castable", node.this, scope, tables, detail=node.to.this.name.lower())
        elif isinstance(node, exp.EQ):
            sides = [_resolved(side, scope, tables) for side in (node.left, node.right)]
            if sides[0] and sides[1] and sides[0][:2] != sides[1][:2]:
                pairs.append((sides[0], sides[1]))
    yield from _of_joins(pairs)


def _single(
    kind: Kind, node: exp.Expr, scope: Scope, tables: dict[str, exp.Table], *, detail: str = ""
) -> Iterator[Candidate]:
    column = _resolved(node, scope, tables)
    if column is not None:
        yield Candidate(kind, *column, detail)


def _resolved(node: exp.Expr, scope: Scope, tables: dict[str, exp.Table]) -> _Column | None:
    if not isinstance(node, exp.Column):
        return None
    if node.table:
        source = tables.get(node.table)
    else:
        source = next(iter(tables.values())) if len(scope.sources) == len(tables) == 1 else None
    if source is None or not source.name:
        return None
    return _Column(source.db.lower(), source.name.lower(), node.name.lower())


def _of_joins(pairs: Iterable[tuple[_Column, _Column]]) -> Iterator[Candidate]:
    between: defaultdict[frozenset[tuple[str, str]], list[tuple[_Column, _Column]]] = defaultdict(list)
    for one, other in pairs:
        between[frozenset((one[:2], other[:2]))].append((one, other))
    for same in between.values():
        if len({frozenset(pair) for pair in same}) > 1:
            continue
        key, reference = sorted(same[0], key=lambda column: (-_keyness(column), column))
        if _keyness(key) > _keyness(reference):
            yield Candidate("unique", *key)
            yield Candidate("references", *reference, "\0".join(key))


def _keyness(column: _Column) -> float:
    """How much a column's name says that it is the key of its table, 0 to 1."""
    if column.name in ("id", "key"):
        return 1.0
    table = column.table.rstrip("s")
    ending = next((word for word in _KEY_WORDS if column.name.endswith(word)), None)
    if ending is None or not table:
        return 0.0
    stem = column.name.removesuffix(ending)
    initials, bar, rest = stem.partition("_")
    stems = {stem, rest} if bar and len(initials) <= 2 else {stem}
    return max(
        (len(one) / len(table) for one in stems if len(one) > 1 and table.startswith(one)), default=0.0
    )
