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

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
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
    """What holds for one relation, made of `bound` filters and `masked` columns.

    Rows must pass all filters. Masks are by column as the database has it.
    """

    filters: tuple[exp.Expr, ...] = ()
    masks: Mapping[str, exp.Expr] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def idle(self) -> bool:
        """Whether nothing is to be done."""
        return not self.filters and not self.masks


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


Guards = Callable[[Relation], Guard]


def rewrite(resolved: Resolved, guards: Guards) -> str:
    """The statement to execute."""
    tree = resolved.tree.copy()
    by_number = [guards(relation) for relation in resolved.relations]
    for node in list(tree.find_all(exp.Table, exp.Subquery)):
        number = node.meta.get(MARK)
        if number is not None and not by_number[number].idle:
            _wrap(node, resolved.relations[number], by_number[number])
    return tree.sql(DIALECT, comments=False)


def _wrap(node: exp.Expr, relation: Relation, guard: Guard) -> None:
    alias = node.args["alias"]
    source = node.copy()
    source.set("alias", exp.TableAlias(this=identifier(relation.name)))
    source.set("joins", None)
    source.set("sample", None)
    source.meta.pop(MARK, None)
    query = exp.select(*_columns(relation, guard)).from_(source)
    if guard.filters:
        conditions = [condition.copy() for condition in guard.filters]
        query = query.where(exp.and_(*conditions, copy=False), copy=False).limit(ALL_ROWS, copy=False)
    moved(node, exp.Subquery(this=query, alias=alias))


def _columns(relation: Relation, guard: Guard) -> Iterable[exp.Expr]:
    for column in relation.columns:
        mask = guard.masks.get(column)
        if mask is None:
            yield column_of(relation, column)
        else:
            yield exp.alias_(mask.copy(), identifier(column))
