"""Puts guards around the tables of a statement: rows are filtered and columns masked before all else.

    FROM sales.orders AS o
    FROM (SELECT orders.id, NULL AS email FROM data.sales.orders AS orders
          WHERE region = 'EMEA' LIMIT 9223372036854775807) AS o

The query around a guard sees a table with the same columns in the same order, so `SELECT *`, USING, NATURAL
and correlated subqueries mean what they meant.

The limit is a barrier, not a limit. Without it DuckDB may evaluate a condition of the query before the one of
the filter, on rows that are to stay hidden, and an error (`CAST(secret AS INTEGER)`) or the lack of one then
tells of them; DuckDB 1.5 does that in joins. It moves no condition through a LIMIT.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from trunkline.services.query.relations import Relation
from trunkline.services.query.statement import DIALECT, MARK, Resolved, identifier, moved

ALL_ROWS: Final = 2**63 - 1
"""The largest limit there is."""

VALUE: Final = "_"
"""In a mask: the value of the column that it masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What holds for one relation, as text, since it is put into many statements: see `guard_of`.

    `columns` is the list of all its columns, some of them masked; `condition` is what rows must pass, if
    anything.
    """

    columns: str
    condition: str | None


class BadPolicy(Exception):  # noqa: N818 - named for what is at fault
    """A filter or mask that does not fit its table; nothing may be read without it."""


def bound(condition: exp.Expr, relation: Relation) -> exp.Expr:
    """The condition with its columns bound to the table, so that no alias around it can mean another.

    Raises `BadPolicy` for a column that the table does not have.
    """
    holder = exp.Paren(this=condition.copy())
    for found in list(holder.find_all(exp.Column)):
        column = None if found.table else relation.column(found.name)
        if column is None:
            raise BadPolicy(f"it names {found.sql(DIALECT)}, which {relation.urn} does not have")
        found.replace(column_of(relation, column))
    return holder


def masked(mask: exp.Expr, value: exp.Expr, column: str) -> exp.Expr:
    """The mask with the value in place of `_` and of the column. Raises `BadPolicy` for another column."""
    # In a holder, so that a mask that is nothing but the value can be replaced, too.
    holder = exp.Paren(this=mask.copy())
    for found in list(holder.find_all(exp.Column)):
        if found.table or found.name.lower() not in (VALUE, column.lower()):
            raise BadPolicy(f"it names {found.sql(DIALECT)}, and masks {column}")
        found.replace(value.copy())
    return holder


def column_of(relation: Relation, column: str) -> exp.Expr:
    """A column of the table inside of its guard."""
    return exp.column(identifier(column), table=identifier(relation.name))


def guard_of(relation: Relation, filters: Sequence[exp.Expr], masks: Mapping[str, exp.Expr]) -> Guard | None:
    """The guard of these `bound` filters, all of which a row must pass, and `masked` columns, by name.

    None where there is nothing to be done.
    """
    if not filters and not masks:
        return None
    columns = [
        exp.alias_(masks[column], identifier(column)) if column in masks else column_of(relation, column)
        for column in relation.columns
    ]
    return Guard(
        columns=", ".join(column.sql(DIALECT) for column in columns),
        condition=" AND ".join(condition.sql(DIALECT) for condition in filters) or None,
    )


Guards = Callable[[Relation], Guard | None]


def rewrite(resolved: Resolved, guards: Guards) -> str:
    """The statement to execute."""
    tree = resolved.tree.copy()
    by_number = [guards(relation) for relation in resolved.relations]
    for node in list(tree.find_all(exp.Table, exp.Subquery)):
        number = node.meta.get(MARK)
        if number is not None and (guard := by_number[number]) is not None:
            _wrap(node, resolved.relations[number], guard)
    return tree.sql(DIALECT, comments=False)


def _wrap(node: exp.Expr, relation: Relation, guard: Guard) -> None:
    """The relation stays where it is, one level deeper and under its own name."""
    query = exp.Select(expressions=[exp.Var(this=guard.columns)])
    moved(node, exp.Subquery(this=query, alias=node.args["alias"]))
    node.set("alias", exp.TableAlias(this=identifier(relation.name)))
    query.set("from_", exp.From(this=node))
    if guard.condition is not None:
        query.set("where", exp.Where(this=exp.Var(this=guard.condition)))
        query.set("limit", exp.Limit(expression=exp.Literal.number(ALL_ROWS)))
