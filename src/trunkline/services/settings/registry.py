"""What can be configured, and to what: a bad value is refused when it is set, not where it is used. Pure.

A module of this package names what its service lets people configure:

    class Meter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True): ...

    def _check(meter: Meter, key: str) -> None:
        if meter.aggregation == "sum" and meter.value is None:
            raise ValueError("a sum needs `value`, the field that is summed")

    METER: Final = Definition("billing.meters.*", Meter, levels=("global",), title="A meter", check=_check)
    DEFINITIONS: Final = (METER,)

and is listed in `MODULES`. The service reads what arrives with the same definition, `METER.read(key, value)`,
so that what can be set and what is understood are one thing.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from trunkline.catalogue.events.config import Key, Level
from trunkline.catalogue.model import near
from trunkline.errors import InvalidInput

MODULES: Final = ("billing", "config", "governance", "notification", "platform", "quality", "query")
"""Those of this package that have `DEFINITIONS`; imported when the first definition is looked up."""

RESERVED: Final = frozenset(
    {
        "ai",
        "audit",
        "billing",
        "catalog",
        "config",
        "governance",
        "iam",
        "ml",
        "notification",
        "pipeline",
        "quality",
        "query",
        "tenant",
    }
)
"""First words of keys that belong to a service: under them only what is defined can be set."""

LEVELS: Final[tuple[Level, ...]] = ("global", "environment", "service", "tenant")
"""From the widest to the narrowest, which wins."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Beside(Generic[T]):
    """Settings that others are to go with: those of everybody whose keys begin with `prefix`.

    `check` gets value, key, and their values by key, UNSET for what was set once; it raises `ValueError`.
    """

    prefix: str
    check: Callable[[T, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Definition(Generic[T]):
    """A setting, or all settings of one form.

    In `pattern` a `*` stands for one part of a key, between dots. `type` is anything that msgspec converts
    to: a struct, or for instance `Annotated[int, Meta(ge=1)]`; where mypy cannot tell T from it, annotate the
    constant. `check` raises `ValueError` or `InvalidInput` with the reason for a value that is of the type
    and yet makes no sense; it must depend on its arguments only. With `approval` a change waits for the word
    of a second person. With `self_service` a tenant may set it on its own level by itself; otherwise, as for
    its quotas, only an operator does. `beside` says whether a value goes with other settings; it is asked
    where one is set, and not where they are read, as there they come in any order.
    """

    pattern: str
    type: Any
    _: KW_ONLY
    levels: tuple[Level, ...]
    title: str
    check: Callable[[T, str], None] | None = None
    approval: bool = False
    self_service: bool = False
    beside: "Beside[T] | None" = None

    def covers(self, key: str) -> bool:
        """Whether the key is of this form."""
        parts = self.pattern.split(".")
        found = key.split(".")
        return len(parts) == len(found) and all(
            part in ("*", one) for part, one in zip(parts, found, strict=True)
        )

    def read(self, key: str, value: Any) -> T:
        """A value, as decoded from JSON, as what it means. Raises `InvalidInput` with key and reason."""
        try:
            read = cast("T", msgspec.convert(value, self.type))
            if self.check is not None:
                self.check(read, key)
        except (ValueError, InvalidInput) as error:
            raise InvalidInput(f"{key}: {error}") from error
        return read

    def require_goes_with(self, key: str, value: Any, others: Mapping[str, Any]) -> None:
        """Raise `InvalidInput` for a value, as decoded from JSON, that does not go with `beside`."""
        if self.beside is None:
            return
        try:
            self.beside.check(self.read(key, value), key, others)
        except ValueError as error:
            raise InvalidInput(f"{key}: {error}") from error


class Registry:
    """Definitions, looked up by key. Immutable."""

    def __init__(self, definitions: Iterable[Definition[Any]]) -> None:
        """Raises `ValueError` for two definitions of one pattern: a mistake in a module."""
        self._by_pattern: dict[str, Definition[Any]] = {}
        for one in definitions:
            if one.pattern in self._by_pattern:
                raise ValueError(f"{one.pattern} is defined twice")
            self._by_pattern[one.pattern] = one

    def __iter__(self) -> Iterator[Definition[Any]]:
        return iter(self._by_pattern.values())

    def find(self, key: str) -> Definition[Any] | None:
        """What defines the key: of several, the one with the fewest `*`. None for a free setting."""
        found = [one for one in self._by_pattern.values() if one.covers(key)]
        return min(found, key=lambda one: (one.pattern.count("*"), one.pattern), default=None)

    def check_name(self, key: str, level: Level) -> Definition[Any] | None:
        """What defines the key. Raises `InvalidInput` if it cannot be set on this level, or at all."""
        check_key(key)
        definition = self.find(key)
        if definition is None:
            word = key.partition(".")[0]
            if word in RESERVED:
                raise InvalidInput(
                    f"{key} is no setting of the platform, and keys of your own begin with another word than "
                    f"{word}{near(key, self._by_pattern)}"
                )
            return None
        if level not in definition.levels:
            raise InvalidInput(
                f"{key} cannot be set on the level {level}; it can on {' or '.join(definition.levels)}"
            )
        return definition

    def check(self, key: str, level: Level, value: Any) -> None:
        """Raise `InvalidInput` with the reason if the key cannot have this value on this level."""
        definition = self.check_name(key, level)
        if definition is not None:
            definition.read(key, value)


def check_key(key: str) -> None:
    """Raise `InvalidInput` for what is no key."""
    try:
        msgspec.convert(key, Key)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"key {key[:80]!r}: use words of a-z, 0-9 and _ with dots between them, at most 200 characters, "
            "for instance query.timeout_ms"
        ) from error


@cache
def registry() -> Registry:
    """The definitions of all modules in `MODULES`."""
    modules = [importlib.import_module(f"trunkline.services.settings.{name}") for name in MODULES]
    return Registry(one for module in modules for one in module.DEFINITIONS)


def check(key: str, level: Level, value: Any) -> None:
    """Raise `InvalidInput` with the reason if the key cannot have this value on this level."""
    registry().check(key, level, value)
