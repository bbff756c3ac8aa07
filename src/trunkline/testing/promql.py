"""Which metrics a PromQL expression reads."""

import re
from typing import Final

_TEXT: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHERS: Final = re.compile(r"\{[^{}]*\}")
_WINDOW: Final = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_LABELS: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_WORD: Final = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)\b(?!\s*\()")
_OPERATORS: Final = frozenset({"and", "or", "unless", "bool", "inf", "nan"})
_PARTS: Final = ("_bucket", "_count", "_sum")


def metrics_in(expression: str) -> set[str]:
    """The names, those of a histogram's parts without their ending; of an expression that parses."""
    bare = expression
    for what in (_TEXT, _MATCHERS, _WINDOW, _LABELS):
        bare = what.sub(" ", bare)
    return {_whole(name) for name in _WORD.findall(bare) if name.lower() not in _OPERATORS}


def _whole(name: str) -> str:
    """`a_seconds_bucket` is a part of `a_seconds`; `lag_sum` is a metric of its own."""
    ending = next((part for part in _PARTS if name.endswith(f"_seconds{part}")), "")
    return name.removesuffix(ending)
