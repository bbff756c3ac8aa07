"""The second opinion: what DuckDB's own parser understands of the text that is about to be executed.

Two parsers read SQL in two ways, and a text that one takes for a harmless name may be a table to the other.
So the rewritten statement is serialised by DuckDB (`json_serialize_sql`) and its tree walked: every kind of
node must be known, every function allowed, every table either one of ours by its full name or a `__cte_N`,
and a table with a row filter must stand alone in a SELECT with a condition and the barrier behind it.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import msgspec

from trunkline.services.query.errors import BadStatement
from trunkline.services.query.functions import FUNCTIONS, TABLE_FUNCTIONS
from trunkline.services.query.relations import CTE_PREFIX

# fmt: off - a list of words
_EXPRESSIONS: Final = frozenset(
    {
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "TYPE",
        "WINDOW",
    }
)
_NODES: Final = frozenset(
    {
        "SELECT_NODE",
        "SET_OPERATION_NODE",
        "RECURSIVE_CTE_NODE",
        "CTE_NODE",
        "BASE_TABLE",
        "SUBQUERY",
        "JOIN",
        "TABLE_FUNCTION",
        "EXPRESSION_LIST",
        "EMPTY",
        "ORDER_MODIFIER",
        "LIMIT_MODIFIER",
        "LIMIT_PERCENT_MODIFIER",
        "DISTINCT_MODIFIER",
        "ORDER_DEFAULT",
        "ASCENDING",
        "DESCENDING",
    }
)
# fmt: on
SCALAR: Final = FUNCTIONS | {"unnest"}
_CALLS: Final = frozenset({"FUNCTION", "WINDOW"})
_LEAVES: Final = frozenset({"cast_type", "type_info"})
"""Types: nothing in them is looked up or called. Nor is it in the value of a constant."""

_SCHEMAS: Final = frozenset({"", "main"})
"""Where the functions that every database has are."""

_PREPARE: Final = (
    "PREPARE serialise AS "
    "SELECT json_serialize_sql(?::VARCHAR, skip_null := true, skip_empty := true, skip_default := true)"
)
"""Planned once. An EXECUTE takes its arguments as literals only, in which there is nothing to escape but the
quote; what is executed here sees no data in any case."""

LAMBDAS_WORK_MAX: Final = 4_096
"""Arrows and lambdas, each counted double for every one around it: DuckDB binds them as often, and nothing
interrupts it. `a -> 'b'` is an arrow whether it is a lambda or a look into JSON."""
_read: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What may be read: catalogue, schema and table as written, and whether only behind a row filter.

    `macros` are functions of the database itself, which are never called.
    """

    tables: Mapping[tuple[str, str, str], bool]
    macros: frozenset[str] = frozenset()


class Inspector:
    """DuckDB's parser. Thread-safe."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(
            ":memory:", config={"threads": 1, "enable_external_access": "false", "lock_configuration": "true"}
        )
        self._connection.execute(_PREPARE)
        self._lock = threading.Lock()

    def inspect(self, sql: str, expected: Expected) -> None:
        """Raises `BadStatement` unless DuckDB understands `sql` as one SELECT on what is expected.

        Raises `RecursionError` for one that is nested very deeply.
        """
        with self._lock:
            try:
                quoted = sql.replace("'", "''")
                row = self._connection.execute(f"EXECUTE serialise('{quoted}')").fetchone()
            except duckdb.Error as error:
                raise BadStatement("syntax_error", _line(error)) from error
        assert row is not None, "a SELECT without FROM has one row"
        try:
            found = _read(row[0])
        except msgspec.DecodeError as error:
            # DuckDB writes infinity, which is no JSON, for a number that is too large.
            raise BadStatement("syntax_error", "a number in the statement is too large") from error
        if found.get("error"):
            raise BadStatement("syntax_error", str(found.get("error_message", "DuckDB cannot read it")))
        if len(found["statements"]) != 1:
            raise BadStatement(
                "not_a_query", f"{len(found['statements'])} statements; send exactly one SELECT"
            )
        _Walk(expected).visit(found["statements"][0]["node"])

    def close(self) -> None:
        """Give the parser back."""
        self._connection.close()


class _Walk:
    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._lambdas = self._lambdas_work = 0

    def visit(self, node: Mapping[str, Any]) -> None:
        self._check(node)
        if node.get("class") == "LAMBDA":
            self._lambdas += 1
            self._lambdas_work += 1 << self._lambdas
            if self._lambdas_work > LAMBDAS_WORK_MAX:
                raise BadStatement("too_deep", "too many `->` in each other; write col -> '$.a.b.c'")
            self._visit_children(node)
            self._lambdas -= 1
        else:
            self._visit_children(node)

    def _visit_children(self, node: Mapping[str, Any]) -> None:
        for name, child in node.items():
            if type(child) is dict:
                if name not in _LEAVES and not (name == "value" and node.get("class") == "CONSTANT"):
                    self.visit(child)
            elif type(child) is list:
                self._visit_all(child)

    def _visit_all(self, nodes: list[Any]) -> None:
        for node in nodes:
            if type(node) is dict:
                self.visit(node)
            elif type(node) is list:
                self._visit_all(node)

    def _check(self, node: Mapping[str, Any]) -> None:
        kind, type_ = node.get("class"), node.get("type")
        if kind is not None:
            if kind not in _EXPRESSIONS:
                raise _unknown(kind)
            if kind in _CALLS:
                self._require_function(node, SCALAR)
        elif isinstance(type_, str):
            if type_ not in _NODES:
                raise _unknown(type_)
            if type_ == "SELECT_NODE":
                self._require_guard(node)
            elif type_ == "TABLE_FUNCTION":
                self._require_function(node["function"], TABLE_FUNCTIONS)
            elif type_ == "BASE_TABLE":
                self._require_table(node)

    def _require_function(self, node: Mapping[str, Any], allowed: frozenset[str]) -> None:
        name = str(node.get("function_name", "")).lower()
        if name not in allowed or name in self._expected.macros or node.get("schema", "") not in _SCHEMAS:
            raise BadStatement("not_allowed", f"the function {name} may not be called here")

    def _require_table(self, node: Mapping[str, Any]) -> None:
        if node.get("at_clause") is not None:
            raise _unknown("AT")
        name = _name(node)
        unqualified = not name[0] and not name[1]
        if not (unqualified and name[2].startswith(CTE_PREFIX)) and name not in self._expected.tables:
            raise BadStatement("not_allowed", f"{'.'.join(filter(None, name))} cannot be read here")

    def _require_guard(self, select: Mapping[str, Any]) -> None:
        """Below, in a join or beside other tables, a table with a row filter may not be read."""
        source = select.get("from_table") or {}
        tables = [source] if source.get("type") == "BASE_TABLE" else list(_tables_in(source))
        for table in tables:
            if not self._expected.tables.get(_name(table)):
                continue
            limited = any(one.get("type") == "LIMIT_MODIFIER" for one in select.get("modifiers", ()))
            if table is not source or select.get("where_clause") is None or not limited:
                raise BadStatement("not_allowed", f"{table['table_name']} cannot be read without its filter")


def _tables_in(source: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tables joined in one FROM; those in subqueries have a SELECT of their own."""
    if source.get("type") == "BASE_TABLE":
        return [source]
    if source.get("type") != "JOIN":
        return []
    return [*_tables_in(source.get("left", {})), *_tables_in(source.get("right", {}))]


def _name(table: Mapping[str, Any]) -> tuple[str, str, str]:
    return table.get("catalog_name", ""), table.get("schema_name", ""), table["table_name"]


def _unknown(kind: str) -> BadStatement:
    return BadStatement("not_allowed", f"{kind.lower().replace('_', ' ')} is not run here; send one SELECT")


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]
