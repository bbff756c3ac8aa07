"""Refuses a bad policy when it is published: what an enforcer cannot decide by, or what allows by accident.

Cedar texts are type-checked against `CEDAR_SCHEMA`. All attributes in it are optional, because an enforcer
may not know them, and Cedar skips a policy whose evaluation fails: `forbid … when { resource.quarantined }`
would *allow* where the attribute is missing. The check refuses every such access without a `has` before it.

SQL is parsed, walked and written anew from the tree that was checked, so that what is enforced is what was
checked: no comments, no second statement, no bracket that closes somebody else's. Only functions that are
known to depend on nothing but their arguments (and the clock) may be called.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import cedarpy
import msgspec
from sqlglot import exp
from sqlglot.errors import SqlglotError

from trunkline.errors import InvalidInput
from trunkline.services.kit.sql import dialect_of, parse_into
from trunkline.services.policies.bundle import BUNDLE_BYTES_MAX, POLICIES_MAX, bundle_bytes
from trunkline.services.policies.policy import Policy, Scope, scope_of, written

BODY_BYTES_MAX: Final = 16 << 10
NESTING_MAX: Final = 100
"""Brackets inside of each other, and levels of an SQL expression. Parsers recurse: Cedar's ends the whole
process, without an error, at some thousands of brackets."""

CEDAR_POLICIES_MAX: Final = 32
"""In one body."""

ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Of what people publish; governance's own ids have a colon and cannot be taken."""

CEDAR_SCHEMA: Final = """
entity Team;
entity Role;
entity Tag;
entity Schema;
entity User in [Team, Role];
entity Table in [Schema, Tag] = {
  quarantined?: Bool,
  classification?: String,
  tags?: Set<String>,
};
action query appliesTo { principal: [User], resource: [Table], context: { origin?: String } };
"""
"""What a Cedar text may speak of. A table is `Table::"schema.table"` in `Schema::"schema"`."""

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "access": ("table", "schema", "tag", "all"),
    "row_filter": ("table", "schema", "tag", "all"),
    "mask": ("column", "tag"),
    "retention": ("table", "schema", "tag", "all"),
}
"""What a policy of a kind may be about."""

VALUE: Final = "_"
"""Stands for the value in a mask."""

_SCHEMA: Final = cedarpy.Schema.from_str(CEDAR_SCHEMA)
_DUCKDB: Final = dialect_of("duckdb")
_DURATION: Final = re.compile(r"P(?=[0-9])(?:[0-9]{1,5}Y)?(?:[0-9]{1,5}M)?(?:[0-9]{1,5}W)?(?:[0-9]{1,5}D)?")
_CEDAR_TOKEN: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|[(\[{]|[)\]}]', re.DOTALL)

_PURE: Final = tuple(
    getattr(exp, name)
    for name in """
        Abs And Array ArrayContains ArraySize Ascii Case Cast Ceil Chr Coalesce Concat ConcatWs Contains
        CurrentDate CurrentTimestamp Date DateAdd DateDiff DateSub DateTrunc Day DayOfWeek EndsWith Exp
        Extract Floor Greatest Hex If Initcap JSONExtract JSONExtractScalar Least Left Length
        Levenshtein Ln Log Lower MD5 Month Nullif Or Pad Pow RegexpExtract RegexpFullMatch RegexpLike
        RegexpReplace Repeat Replace Reverse Right Round SHA SHA2 Sign Split SplitPart Sqrt StartsWith
        StrPosition StrToTime Substring TimeToStr TimestampTrunc Translate Trim TryCast Unhex Unicode
        Upper Xor Year
    """.split()  # noqa: SIM905 - a list literal would be a screen of quotes
)
"""Functions, in the parser's words, that read and change nothing."""

_PURE_NAMES: Final = frozenset(
    ("format", "hash", "list_contains", "list_has", "now", "prefix", "printf", "strip_accents", "suffix")
)
"""The same by name: what the parser knows nothing of."""

_REFUSED: Final[tuple[tuple[type[exp.Expr], str], ...]] = (
    (exp.Query, "a subquery"),
    (exp.Exists, "a subquery"),
    (exp.Table, "a table"),
    (exp.Window, "a window function"),
    (exp.AggFunc, "an aggregate"),
    (exp.UDTF, "a table function"),
    (exp.Star, "`*`"),
    (exp.Columns, "`COLUMNS`"),
    (exp.Placeholder, "a parameter"),
    (exp.Parameter, "a parameter"),
    (exp.SessionParameter, "a session setting"),
    (exp.Lambda, "a lambda"),
    (exp.Comprehension, "a comprehension"),
)


def checked(policy: Policy) -> Policy:
    """The policy as it is published: its scope and SQL in the one form. Raises `InvalidInput`, with why."""
    try:
        msgspec.convert(msgspec.to_builtins(policy), Policy)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"policy {policy.policy_id[:80]!r}: {error}") from error
    if not ID_PATTERN.fullmatch(policy.policy_id):
        raise InvalidInput(
            f"policy {policy.policy_id[:80]!r}: an id has up to 128 letters, digits, '.', '_' or '-'"
        )
    scope = scope_of(policy.scope)
    _require_kind(policy, scope)
    try:
        body = _checked_body(policy, scope)
    except InvalidInput as error:
        raise InvalidInput(f"policy {policy.policy_id}: {error}") from error
    return msgspec.structs.replace(policy, scope=written(scope), body=body)


def require_bounded(policies: Iterable[Policy]) -> None:
    """Raises `InvalidInput` for policies that are too many or too large for one bundle.

    Quarantines are not counted: no policy that is there already may keep one from being made.
    """
    members = [policy for policy in policies if policy.kind != "quarantine"]
    if len(members) > POLICIES_MAX:
        raise InvalidInput(f"a tenant has up to {POLICIES_MAX} policies; revoke some first")
    if (size := bundle_bytes(members)) > BUNDLE_BYTES_MAX:
        raise InvalidInput(
            f"the policies would take {size} bytes of {BUNDLE_BYTES_MAX}; shorten or revoke some first"
        )


def check_cedar(body: str, scope: Scope | None = None) -> None:
    """Raises `InvalidInput` for a Cedar text that cannot be decided by, or never says anything in `scope`."""
    require_shallow(body)
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(body))
    except ValueError as error:
        raise InvalidInput(f"not Cedar: {_line(error)}") from error
    except RecursionError as error:
        raise InvalidInput("the conditions go too deep; split them into several policies") from error
    if parsed["templates"] or parsed["templateLinks"]:
        raise InvalidInput("templates (?principal, ?resource) link to nothing here; name what is meant")
    texts: dict[str, Any] = parsed["staticPolicies"]
    if not texts:
        raise InvalidInput("the Cedar text has no policy")
    if len(texts) > CEDAR_POLICIES_MAX:
        raise InvalidInput(f"{len(texts)} Cedar policies in one body; up to {CEDAR_POLICIES_MAX}")
    result = cedarpy.validate_policies(body, _SCHEMA)
    if not result.validation_passed:
        raise InvalidInput(_advised("; ".join(_line(error) for error in result.errors[:3])))
    if scope is not None:
        for text in texts.values():
            _require_within(text["resource"], scope)


def require_shallow(body: str) -> None:
    """Raises `InvalidInput` for a Cedar text that would overflow the stack of Cedar's parser.

    Whoever gets a text from elsewhere asks this before Cedar sees it: the overflow cannot be caught.
    """
    depth = 0
    for found in _CEDAR_TOKEN.finditer(body):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if depth > NESTING_MAX:
            raise InvalidInput(f"brackets are nested deeper than {NESTING_MAX} levels")


def check_filter(body: str) -> str:
    """The predicate of a row filter, written anew. Raises `InvalidInput`."""
    tree = _expression(body)
    for column in tree.find_all(exp.Column):
        if column.table:
            raise InvalidInput(f"{column.sql(_DUCKDB)}: name a column without its table")
    if next(tree.find_all(exp.Column), None) is None and not isinstance(tree, exp.Boolean):
        raise InvalidInput("the predicate names no column; write TRUE or FALSE if that is meant")
    if isinstance(tree, (exp.Literal, exp.Array, exp.Struct, exp.Tuple)):
        raise InvalidInput(f"{tree.sql(_DUCKDB)} is no predicate")
    return _written(tree)


def check_mask(body: str, *, column: str | None) -> str:
    """The expression of a mask, written anew; it sees the column that it masks and nothing else of the row.

    Raises `InvalidInput`.
    """
    tree = _expression(body)
    for found in tree.find_all(exp.Column):
        if found.table or found.name.lower() not in (VALUE, column):
            own = f"`{VALUE}`" if column is None else f"`{VALUE}` or `{column}`"
            raise InvalidInput(f"{found.sql(_DUCKDB)}: a mask sees only the value that it masks: {own}")
    return _written(tree)


def _require_kind(policy: Policy, scope: Scope) -> None:
    if policy.kind == "quarantine":
        raise InvalidInput("a quarantine is governance's own: `trunkline policy quarantine ASSET` makes one")
    if scope.covers not in SCOPES[policy.kind]:
        allowed = ", ".join(SCOPES[policy.kind])
        raise InvalidInput(
            f"policy {policy.policy_id}: {policy.kind} cannot be about a {scope.covers}, but about: {allowed}"
        )
    if (size := len(policy.body.encode())) > BODY_BYTES_MAX:
        raise InvalidInput(f"policy {policy.policy_id}: its body takes {size} bytes of {BODY_BYTES_MAX}")


def _checked_body(policy: Policy, scope: Scope) -> str:
    match policy.kind:
        case "access":
            check_cedar(policy.body, scope)
            return policy.body.strip()
        case "row_filter":
            return check_filter(policy.body)
        case "mask":
            return check_mask(policy.body, column=scope.column)
        case _:
            if not _DURATION.fullmatch(policy.body.strip()):
                raise InvalidInput("a retention is a duration of ISO 8601 in days or more, such as P90D")
            return policy.body.strip()


def _require_within(resource: dict[str, Any], scope: Scope) -> None:
    """What names a table outside of the policy's scope would never be asked about it."""
    named = resource.get("entity") if resource["op"] == "==" else None
    if named is None or named.get("type") != "Table":
        return
    schema, _, table = str(named["id"]).partition(".")
    if scope.covers in ("table", "schema") and not scope.has_table(schema, table):
        raise InvalidInput(
            f'Table::"{named["id"]}" is outside of the scope {written(scope)}: it would never decide anything'
        )


def _expression(body: str) -> exp.Expr:
    try:
        found = parse_into(exp.Condition, body, _DUCKDB)
    except SqlglotError as error:
        raise InvalidInput(f"not one SQL expression{_where(error)}") from error
    tree = found[0] if len(found) == 1 else None
    if tree is None:
        raise InvalidInput("not one SQL expression")
    _require_pure(tree)
    return tree


def _require_pure(tree: exp.Expr) -> None:
    """What a policy may consist of. Iterative: a chain of operators is as deep as it is long."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > NESTING_MAX:
            raise InvalidInput(f"the SQL is nested deeper than {NESTING_MAX} levels; use IN for long lists")
        for refused, what in _REFUSED:
            if isinstance(node, refused):
                raise InvalidInput(f"{what} may not be in a policy: {node.sql(_DUCKDB)[:80]}")
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in _PURE_NAMES:
                raise InvalidInput(f"the function {node.name.lower()} may not be called in a policy")
        elif isinstance(node, exp.Func) and not isinstance(node, _PURE):
            raise InvalidInput(f"the function {node.sql_name().lower()} may not be called in a policy")
        waiting += [(child, depth + 1) for child in node.iter_expressions()]


def _where(error: SqlglotError) -> str:
    """What the parser says, without the colours that it marks the place with."""
    cause = error.__cause__ or error
    found = getattr(cause, "errors", None)
    if not found:
        return ""
    first = found[0]
    return f": {_line(first['description'])} at line {first['line']}, column {first['col']}"


def _written(tree: exp.Expr) -> str:
    return tree.sql(_DUCKDB, comments=False)


def _advised(problem: str) -> str:
    if "optional attribute" not in problem:
        return problem
    return (
        f"{problem}; an attribute may be missing, and a policy that fails on it would not be applied: write "
        "`unless { resource has ATTRIBUTE && … }`"
    )


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
