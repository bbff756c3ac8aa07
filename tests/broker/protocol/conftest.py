"""Messages of any declared class and version, made from a source of randomness."""

import warnings
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import pytest

# kafka-python reads its definitions through a function of importlib that is deprecated in Python 3.11;
# importing it here, once, keeps "warnings are errors" for everything else.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.record.default_records
    import kafka.record.memory_records  # noqa: F401 - imported for the tests that come

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.notation import Field, Message, Struct, Versions

MakeMessage: TypeAlias = Callable[[type[Message], int, Random], Message]

INT_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
TIME_SUFFIX = "_ms"
TIME_MAX = 2_000_000_000_000


@pytest.fixture(scope="session")
def make_message() -> MakeMessage:
    """Fills every field of the version at random and leaves all others at their default."""
    return _struct


def _struct(cls: type[Any], version: int, random: Random) -> Any:
    values = {
        name: _value(name, field, version, random)
        for name, field in cls.wire.items()
        if version in Versions.parse(field.versions)
        and not (field.tagged is not None and random.random() < 0.5)
    }
    return cls(**values)


def _value(name: str, field: Field, version: int, random: Random) -> Any:
    if version in Versions.parse(field.nullable) and random.random() < 0.3:
        return None
    if field.kind == "struct":
        return _struct(field.element, version, random)
    if field.kind != "array":
        return _primitive(name, field.kind, random)
    if isinstance(field.element, str):
        count = random.choice((0, 1, 3, 8, 9, 130))
        return [_primitive("", field.element, random) for _ in range(count)]
    element: type[Struct] = field.element
    return [_struct(element, version, random) for _ in range(random.choice((0, 1, 2, 3)))]


def _primitive(name: str, kind: str, random: Random) -> Any:
    if kind in INT_BITS:
        return _integer(name, kind, random)
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "uuid":
        return random.randbytes(16)
    if kind == "string":
        return random.choice(("", "a", "äöü€𝄞", "x" * 126, "x" * 127, "y" * 300))
    return random.randbytes(random.choice((0, 1, 126, 127, 20_000)))


def _integer(name: str, kind: str, random: Random) -> int:
    if name.endswith("error_code"):
        return int(random.choice(list(ErrorCode)))
    if name.endswith(TIME_SUFFIX) or "timestamp" in name:
        # The oracle reads these as times, so they must be ones that exist.
        return random.randrange(TIME_MAX if kind == "int64" else 1 << 31)
    half = 1 << (INT_BITS[kind] - 1)
    return random.choice((-half, -1, 0, 1, half - 1, random.randrange(-half, half)))
