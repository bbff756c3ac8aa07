"""Reads a statement and says which tables it is about: every name resolved, before any policy is asked.

Theory of operation. The text is never executed. It is parsed, and what is executed is written anew from the
tree, in which

- every table has its full name and its alias, and is marked with the relation that it is;
- every view is replaced by its query, resolved in the same way;
- every common table expression is called `__cte_N`, and so is every reference to it.

So a name that was resolved wrongly can at worst lead to an error: what is unmarked and not `__cte_N` does not
exist. `inspection` has DuckDB's own parser confirm that of the text that it is about to execute.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError

from trunkline.services.kit.sql import TooDeep, dialect_of, parse
from trunkline.services.query.errors import BadStatement
from trunkline.services.query.functions import TABLE_FUNCTIONS
from trunkline.services.query.relations import CTE_PREFIX, Relation, Relations

DIALECT: Final = "duckdb"
DUCKDB: Final = dialect_of(DIALECT)
STATEMENT_CHARS_MAX: Final = 100_000
"""As `catalogue.events.fields.Sql`."""

VIEW_DEPTH_MAX: Final = 8
"""Views of views of views."""

TABLES_MAX: Final = 256
"""References to tables in one statement, those inside of views counted."""

MARK: Final = "relation"
"""Where a node's `meta` has the number of its relation."""

ERROR_TEXT_MAX: Final = 300

_REFUSED: Final[tuple[tuple[type[exp.Expr], str], ...]] = (
    (exp.Command, "a command"),
    (exp.DDL, "a statement that changes something"),
    (exp.DML, "a statement that changes something"),
    (exp.Into, "SELECT INTO"),
    (exp.Lock, "FOR UPDATE"),
    (exp.Pivot, "PIVOT"),
    (exp.Describe, "DESCRIBE"),
    (exp.Summarize, "SUMMARIZE"),
    (exp.Show, "SHOW"),
    (exp.Set, "SET"),
    (exp.Pragma, "PRAGMA"),
    (exp.Placeholder, "a parameter"),
    (exp.Parameter, "a parameter"),
    (exp.SessionParameter, "a session setting"),
)
_TABLE_PARTS: Final = frozenset({"this", "db", "catalog", "alias", "joins", "sample"})
"""What a table in a statement may have; others, such as AT (VERSION …), would get lost."""

_MODIFIERS: Final = ("joins", "sample")
"""What moves from a table to whatever takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A statement whose tables are known. `tree` is shared and must not be changed.

    `relations` are in the order in which they were met, each once; views are among them, and so is what
    they read.
    """

    fingerprint: str
    tree: exp.Query
    relations: tuple[Relation, ...]


def fingerprint_of(sql: str) -> str:
    """SHA-256 of the statement in UTF-8, in hexadecimal."""
    return sha256(sql.encode("utf-8", "surrogatepass")).hexdigest()


def resolve(sql: str, relations: Relations) -> Resolved:
    """The tables of a statement. Raises `BadStatement` for anything but one SELECT on known tables."""
    resolver = _Resolver(relations)
    try:
        tree = _parsed(sql)
        resolver.visit(tree, {}, relations.default_schema)
    except RecursionError as error:
        raise BadStatement("too_deep", "the statement is nested too deeply") from error
    return Resolved(fingerprint=fingerprint_of(sql), tree=tree, relations=tuple(resolver.relations))


def identifier(name: str) -> exp.Identifier:
    """A quoted name."""
    return exp.to_identifier(name, quoted=True)


def moved(old: exp.Expr, new: exp.Expr) -> None:
    """Put `new` in the place of `old`, with the joins and the sample that were written behind it."""
    for name in _MODIFIERS:
        if (value := old.args.get(name)) is not None:
            new.set(name, value)
            old.set(name, None)
    old.replace(new)


def _parsed(sql: str) -> exp.Query:
    if len(sql) > STATEMENT_CHARS_MAX:
        raise BadStatement(
            "too_long", f"the statement has {len(sql)} characters of {STATEMENT_CHARS_MAX}; shorten it"
        )
    try:
        sql.encode()
        parsed = parse(sql, DUCKDB)
    except TooDeep as error:
        raise BadStatement("too_deep", str(error)) from error
    except (SqlglotError, UnicodeEncodeError) as error:
        raise BadStatement("syntax_error", _line(error)) from error
    # A comment behind the last semicolon is a `Semicolon` of its own.
    found = [tree for tree in parsed if tree is not None and not isinstance(tree, exp.Semicolon)]
    if len(found) != 1:
        raise BadStatement("not_a_query", f"{len(found)} statements; send exactly one SELECT")
    tree = found[0]
    if not isinstance(tree, (exp.Select, exp.SetOperation, exp.Subquery)):
        raise BadStatement("not_a_query", f"{_kind(tree)} is not run here; send one SELECT")
    return tree


class _Resolver:
    """Walks one statement, and the views in it, and resolves names in place."""

    def __init__(self, relations: Relations) -> None:
        self.relations: list[Relation] = []
        self._all = relations
        self._ctes = self._tables = self._depth = 0

    def visit(self, node: exp.Expr, ctes: Mapping[str, str], schema: str) -> None:
        """Resolve below a node; `ctes` are those in sight, by lower-case name, with what they are called."""
        _forget_notes(node)
        for refused, what in _REFUSED:
            if isinstance(node, refused):
                raise BadStatement("not_allowed", f"{what} is not run here; send one SELECT")
        if isinstance(node, exp.Table):
            self._table(node, ctes, schema)
            return
        with_ = node.args.get("with_")
        if with_ is not None:
            ctes = self._with(with_, ctes, schema)
        for child in _children(node):
            if child is not with_:
                self.visit(child, ctes, schema)
        if isinstance(node, exp.Column):
            self._column(node)

    def _with(self, with_: exp.With, ctes: Mapping[str, str], schema: str) -> Mapping[str, str]:
        """Names each expression anew; it sees those before it, and itself where it may be recursive."""
        inside = dict(ctes)
        for cte in with_.expressions:
            if not isinstance(cte.this, exp.Query) or isinstance(cte.this, exp.Table):
                raise BadStatement("not_allowed", f"WITH {cte.alias}: only a SELECT may stand there")
            self._ctes += 1
            name, fresh = cte.alias.lower(), f"{CTE_PREFIX}{self._ctes}"
            if with_.args.get("recursive"):
                self.visit(cte.this, {**inside, name: fresh}, schema)
            else:
                self.visit(cte.this, inside, schema)
            inside[name] = fresh
            cte.args["alias"].set("this", identifier(fresh))
        return inside

    def _table(self, node: exp.Table, ctes: Mapping[str, str], schema: str) -> None:
        self._tables += 1
        if self._tables > TABLES_MAX:
            raise BadStatement("too_large", f"the statement reads more than {TABLES_MAX} tables")
        for name in ("joins", "alias", "sample"):
            for child in _listed(node.args.get(name)):
                self.visit(child, ctes, schema)
        if not isinstance(node.this, exp.Identifier):
            self._function(node, ctes, schema)
            return
        _forget_notes(node.this)
        if unknown := [name for name, value in node.args.items() if value and name not in _TABLE_PARTS]:
            raise BadStatement("not_allowed", f"{node.name}: {unknown[0]} cannot be used on a table here")
        fresh = ctes.get(node.name.lower()) if not node.args.get("db") else None
        if fresh is None:
            self._relation(node, self._all.find(_parts(node), default_schema=schema))
            return
        _keep_alias(node)
        node.set("this", identifier(fresh))

    def _function(self, node: exp.Table, ctes: Mapping[str, str], schema: str) -> None:
        if not isinstance(node.this, exp.Func):
            raise BadStatement("unknown_table", f"{node.sql(DIALECT)[:80]}: write SCHEMA.TABLE")
        name = node.this.name if isinstance(node.this, exp.Anonymous) else node.this.sql_name()
        if name.lower() not in TABLE_FUNCTIONS:
            raise BadStatement("not_allowed", f"the table function {name.lower()} may not be called here")
        self.visit(node.this, ctes, schema)

    def _relation(self, node: exp.Table, relation: Relation) -> None:
        _keep_alias(node)
        number = self._number(relation)
        if relation.view is not None:
            query = self._view(relation)
            names = exp.TableAlias(
                this=identifier(relation.name), columns=[identifier(column) for column in relation.columns]
            )
            place = exp.Subquery(
                this=exp.select("*").from_(exp.Subquery(this=query, alias=names)), alias=node.args["alias"]
            )
            moved(node, place)
            place.meta[MARK] = number
            return
        node.set("this", identifier(relation.name))
        node.set("db", identifier(relation.schema))
        node.set("catalog", identifier(self._all.database))
        node.meta[MARK] = number

    def _view(self, relation: Relation) -> exp.Query:
        """The query of a view, resolved where the view is: it sees nothing of the statement around it."""
        self._depth += 1
        if self._depth > VIEW_DEPTH_MAX:
            raise BadStatement("too_deep", f"view {relation.name}: views are nested too deeply")
        query = _query_of(relation)
        holder = exp.Subquery(this=query.copy())
        self.visit(holder, {}, relation.schema)
        self._depth -= 1
        resolved: exp.Query = holder.this
        return resolved

    def _number(self, relation: Relation) -> int:
        if relation not in self.relations:
            self.relations.append(relation)
        return self.relations.index(relation)

    def _column(self, node: exp.Column) -> None:
        """`schema.table.column` is that table's column, whose alias alone is left of its name."""
        schema, table = node.args.get("db"), node.args.get("table")
        if schema is None or table is None:
            return
        if (schema.name.lower(), table.name.lower()) in self._all.by_key:
            node.set("db", None)
            node.set("catalog", None)


def _forget_notes(node: exp.Expr) -> None:
    """A comment `/* sqlglot.meta relation=0 */` would set our mark; and what is gone need not be copied."""
    node._meta = node.comments = None


def _query_of(view: Relation) -> exp.Query:
    try:
        created = parse(view.view or "", DUCKDB)
    except (SqlglotError, TooDeep) as error:
        raise BadStatement("not_allowed", f"view {view.name}: its definition cannot be read") from error
    query = created[0].args.get("expression") if isinstance(created[0], exp.Create) else None
    if not isinstance(query, exp.Query):
        raise BadStatement("not_allowed", f"view {view.name}: its definition cannot be read")
    return query


def _keep_alias(node: exp.Table) -> None:
    """A table is called what it was called, whatever will stand in its place."""
    alias = node.args.get("alias")
    if alias is None:
        node.set("alias", exp.TableAlias(this=node.this.copy()))
    elif alias.this is None:
        alias.set("this", node.this.copy())


def _parts(node: exp.Table) -> tuple[str, ...]:
    named = (node.args.get("catalog"), node.args.get("db"), node.this)
    if any(isinstance(part, exp.Dot) for part in named):
        raise BadStatement("unknown_table", f"{node.sql(DIALECT)}: write SCHEMA.TABLE")
    return tuple(part.name for part in named if part is not None)


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    for value in list(node.args.values()):
        yield from _listed(value)


def _listed(value: object) -> Iterator[exp.Expr]:
    if isinstance(value, exp.Expr):
        yield value
    elif isinstance(value, list):
        yield from [one for one in value if isinstance(one, exp.Expr)]


def _kind(tree: exp.Expr) -> str:
    words = tree.this if isinstance(tree, exp.Command) and isinstance(tree.this, str) else tree.key
    return words.upper()


def _line(error: Exception) -> str:
    """sqlglot marks the place with terminal codes and repeats the statement; the first line says it."""
    text = " ".join(str(error).split("\n")[0].split())
    return text[:ERROR_TEXT_MAX] or "the statement cannot be read"
