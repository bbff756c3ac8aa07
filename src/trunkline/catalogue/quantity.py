"""Sizes as Kubernetes and the JVM write them: `500m` of a CPU, `8Gi` of memory, a heap of `2g`."""

import re
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]{1,3})?)(m|[kMGTPE]|[KMGTPE]i)?")
_HEAP: Final = re.compile(r"([0-9]+)([mMgG])")

_UNITS: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}


MEBIBYTE: Final = _UNITS["Mi"]
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def amount(text: str) -> str:
    """The number of a size, as it is written, without the unit. Raises `ValueError` where there is none."""
    found = _NUMBER.match(text)
    if found is None:
        raise ValueError(f"{text!r} does not begin with a number")
    return found[0]


def cpus(text: str) -> Decimal | None:
    """How many CPUs; None for what is no positive amount of them."""
    found = _QUANTITY.fullmatch(text)
    if found is None or (found[2] or "") not in ("", "m"):
        return None
    return _positive(found)


def size_bytes(text: str) -> Decimal | None:
    """How many bytes of memory or disk; None for what is no size. `m` is none: a thousandth of a byte."""
    found = _QUANTITY.fullmatch(text)
    return None if found is None or found[2] == "m" else _positive(found)


def heap_bytes(text: str) -> Decimal | None:
    """How many bytes `-Xmx` of this would take; None for what Strimzi's schema or the JVM refuse."""
    found = _HEAP.fullmatch(text)
    if found is None or not int(found[1]):
        return None
    return Decimal(found[1]) * _UNITS[f"{found[2].upper()}i"]


def _positive(found: re.Match[str]) -> Decimal | None:
    amount = Decimal(found[1]) * _UNITS[found[2] or ""]
    return amount if amount > 0 else None
