"""The rules in force for every tenant, from the configuration; a bad value changes nothing and is shown."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from trunkline.errors import InvalidInput
from trunkline.services.app import Settings
from trunkline.services.governance.hysteresis import Rules
from trunkline.services.settings.governance import EXEMPT_ROLES, PASSES, PREFIX, TRIGGERS, Trigger
from trunkline.services.settings.registry import Definition

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        TRIGGERS["critical"].pattern: Trigger(fails=1, runs=1),
        TRIGGERS["error"].pattern: Trigger(fails=1, runs=1),
        TRIGGERS["warning"].pattern: Trigger(fails=1, runs=1, mode="off"),
        PASSES.pattern: 2,
        EXEMPT_ROLES.pattern: ("data-steward",),
    }
)
"""What holds where nothing is set. Who writes a check says with `error` that its data must not be used."""

_ALL: Final[tuple[Definition[Any], ...]] = (*TRIGGERS.values(), PASSES, EXEMPT_ROLES)
_BY_KEY: Final = {one.pattern: one for one in _ALL}

Place: TypeAlias = tuple[str | None, str]
"""Tenant, or None for everybody, and key."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value of the configuration that is not used, and why; the one before it holds on."""

    tenant: str | None
    key: str
    reason: str


class Rulebook:
    """Rules by tenant. Thread-safe: readers get one immutable state or the next, never half of one."""

    def __init__(self, settings: Settings, *, changed: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._changed = changed
        self._lock = threading.Lock()
        self._values: Mapping[Place, Any] = {}
        self.refusals: tuple[Refusal, ...] = ()
        self.refresh()

    def refresh(self) -> None:
        """Read the configuration again; what is bad in it leaves the value as it was."""
        with self._lock:
            values: dict[Place, Any] = {}
            refusals: list[Refusal] = []
            for place, resolution in self._settings.under(PREFIX).items():
                tenant, key = place
                try:
                    values[place] = _read(key, resolution.value)
                except InvalidInput as error:
                    refusals.append(Refusal(tenant, key, str(error)))
                    if place in self._values:
                        values[place] = self._values[place]
            self._values = values
            self.refusals = tuple(sorted(refusals, key=lambda one: (one.tenant or "", one.key)))
        self._changed()

    def of(self, tenant: str) -> Rules:
        """The rules of a tenant."""
        values = self._values

        def value(key: str) -> Any:
            return values.get((tenant, key), values.get((None, key), DEFAULTS[key]))

        return Rules(
            triggers=tuple((severity, value(one.pattern)) for severity, one in TRIGGERS.items()),
            release_passes=value(PASSES.pattern),
            exempt_roles=value(EXEMPT_ROLES.pattern),
        )


def _read(key: str, value: object) -> Any:
    definition = _BY_KEY.get(key)
    if definition is None:
        raise InvalidInput(f"{key} is no setting of the governance service")
    return definition.read(key, value)
