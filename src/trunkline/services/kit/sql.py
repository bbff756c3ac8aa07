"""Parses SQL that others wrote, within bounds of the time and the stack that a parser may take for it.

sqlglot recurses, and its compiled build asks nobody how deep: some thousands of `FROM` in a row, or brackets
inside of each other, overflow the stack of the thread and end the process. Some texts of a few dozen words
take it hours, since it tries every way to read them. So the words are counted before it sees them:

| what | why | bound |
|---|---|---|
| brackets inside of each other | the stack | `NESTING_MAX` |
| SELECT, FROM, JOIN, WITH | the stack; they nest without brackets, too | `QUERY_WORDS_MAX` |
| joins that wait for their ON or USING | each doubles the time | `OPEN_JOINS_MAX` |
| subscripts of subscripts, `a[1][1]` | the time grows with their cube | `SUBSCRIPTS_MAX` |
"""

import logging
from collections.abc import Sequence
from typing import Any, Final

from sqlglot import Dialect, exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from trunkline.errors import InvalidInput

NESTING_MAX: Final = 100
QUERY_WORDS_MAX: Final = 1_000
OPEN_JOINS_MAX: Final = 8
SUBSCRIPTS_MAX: Final = 10

_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_QUERY_WORDS: Final = frozenset({TokenType.SELECT, TokenType.FROM, TokenType.JOIN, TokenType.WITH})
_CONDITIONS: Final = frozenset({TokenType.ON, TokenType.USING})
_UNCONDITIONAL: Final = frozenset({TokenType.CROSS, TokenType.NATURAL})
"""What before a JOIN says that no condition comes."""

# Instead of an error the parser logs the whole statement where it takes one for a command.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


class TooDeep(InvalidInput):
    """A text that may be SQL, but is nested beyond what is parsed."""


def dialect_of(name: str) -> Dialect:
    """The dialect of that name; the parser's own for an empty one."""
    return Dialect.get_or_raise(name or None)


def parse(sql: str, dialect: Dialect) -> list[exp.Expr | None]:
    """The statements of a text. Raises `SqlglotError` for what is no SQL, and `TooDeep`."""
    return _parsed(sql, dialect, None)


def parse_into(kind: type[exp.Expr], sql: str, dialect: Dialect) -> list[exp.Expr | None]:
    """The same for a text that is to be something of a kind, such as `exp.Condition`."""
    return _parsed(sql, dialect, kind)


def _parsed(sql: str, dialect: Dialect, kind: type[exp.Expr] | None) -> list[exp.Expr | None]:
    try:
        tokens = dialect.tokenize(sql)
        _require_bounded(tokens)
        parser: Any = dialect.parser()
        found: list[exp.Expr | None] = (
            parser.parse(tokens, sql) if kind is None else parser.parse_into(kind, tokens, sql)
        )
    except (SqlglotError, TooDeep):
        raise
    except RecursionError as error:
        raise TooDeep("the SQL is nested too deeply") from error
    except Exception as error:
        # The compiled parser stumbles over its own types where the interpreted one says what was expected.
        raise ParseError("the SQL cannot be read") from error
    return found


def _require_bounded(tokens: Sequence[Token]) -> None:
    """What stands inside of brackets is counted with what is open around them, and forgotten behind them."""
    around: list[tuple[int, int]] = []
    words = open_joins = subscripts = 0
    before = operand = None
    for token in tokens:
        kind = token.token_type
        if kind in _OPENING:
            subscripts = subscripts + 1 if kind is TokenType.L_BRACKET and operand else 0
            if subscripts > SUBSCRIPTS_MAX:
                raise TooDeep(f"the SQL has more than {SUBSCRIPTS_MAX} subscripts of each other")
            around.append((open_joins, subscripts))
            if len(around) > NESTING_MAX:
                raise TooDeep(f"the SQL has brackets nested deeper than {NESTING_MAX} levels")
            subscripts = 0
        elif kind in _CLOSING:
            open_joins, subscripts = around.pop() if around else (0, 0)
        elif kind in _QUERY_WORDS:
            words += 1
            if words > QUERY_WORDS_MAX:
                raise TooDeep(f"the SQL has more than {QUERY_WORDS_MAX} times SELECT, FROM, JOIN or WITH")
            if kind is TokenType.JOIN and before not in _UNCONDITIONAL:
                open_joins += 1
                if open_joins > OPEN_JOINS_MAX:
                    raise TooDeep(f"the SQL has more than {OPEN_JOINS_MAX} joins without ON or USING")
        elif kind in _CONDITIONS:
            open_joins = max(0, open_joins - 1)
        before = kind
        # What a subscript can follow; of the words that may be names some are none, which counts too much.
        operand = kind in _CLOSING or token.text[:1].isalnum() or token.text[:1] in "_.:'\""
        if not operand and kind not in _OPENING:
            subscripts = 0
