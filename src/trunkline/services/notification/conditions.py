"""Whether an event meets a condition, and if not, why. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from trunkline.services.settings.notification import Condition, Test, types_of

MISSING: Final = object()


class Matcher:
    """A condition, ready to be tried on many events. Immutable."""

    __slots__ = ("_tests", "types")

    def __init__(self, condition: Condition) -> None:
        self.types = frozenset(types_of(condition))
        self._tests = tuple(
            (path, tuple(path.split(".")), _as_test(wanted)) for path, wanted in condition.where.items()
        )

    def why_not(self, type_name: str, data: Mapping[str, Any]) -> str | None:
        """Why an event does not meet the condition, as a short text; None if it does."""
        if type_name not in self.types:
            return f"it is about {', '.join(sorted(self.types))}"
        return self.failing(data)

    def failing(self, data: Mapping[str, Any]) -> str | None:
        """The same where the type is known to fit."""
        for path, steps, test in self._tests:
            value = field_at(data, steps)
            if (wanted := failing_test(test, value)) is not None:
                shown = "missing" if value is MISSING else msgspec.json.encode(value).decode()
                return f"{path} is {shown[:100]}, wanted {wanted}"
        return None


def field_at(data: Mapping[str, Any], steps: tuple[str, ...]) -> Any:
    """The value at a path, `MISSING` where there is none."""
    value: Any = data
    for step in steps:
        if not isinstance(value, Mapping) or step not in value:
            return MISSING
        value = value[step]
    return value


def failing_test(test: Test, value: Any) -> str | None:
    """What was wanted of a value that does not pass, else None. What is missing passes no test but `ne`."""
    if test.eq is not msgspec.UNSET and not _equal(value, test.eq):
        return f"= {test.eq}"
    if test.ne is not msgspec.UNSET and _equal(value, test.ne):
        return f"≠ {test.ne}"
    if test.one_of is not None and not any(_equal(value, one) for one in test.one_of):
        return f"one of {', '.join(map(str, test.one_of))}"
    if test.none_of is not None and any(_equal(value, one) for one in test.none_of):
        return f"none of {', '.join(map(str, test.none_of))}"
    if test.prefix is not None and not (isinstance(value, str) and value.startswith(test.prefix)):
        return f"{test.prefix}…"
    return _failing_bound(test, value)


def _failing_bound(test: Test, value: Any) -> str | None:
    bounds = {">": test.gt, "≥": test.ge, "<": test.lt, "≤": test.le}
    if all(bound is None for bound in bounds.values()):
        return None
    number = _number(value)
    for sign, bound in bounds.items():
        if bound is not None and (number is None or not _holds(number, sign, Decimal(str(bound)))):
            return f"{sign} {bound:g}"
    return None


def _holds(number: Decimal, sign: str, bound: Decimal) -> bool:
    match sign:
        case ">":
            return number > bound
        case "≥":
            return number >= bound
        case "<":
            return number < bound
        case _:
            return number <= bound


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _equal(value: Any, wanted: Any) -> bool:
    """Without Python's view that True is 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _as_test(wanted: Any) -> Test:
    if isinstance(wanted, Test):
        return wanted
    if isinstance(wanted, tuple):
        return Test(one_of=wanted)
    return Test(eq=wanted)
