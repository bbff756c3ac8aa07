"""What is configured, as the monitors use it. A value that makes no sense leaves the one before in force."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, TypeAlias

from trunkline.errors import InvalidInput
from trunkline.services.app import Settings
from trunkline.services.quality.windows import MINUTE_US
from trunkline.services.settings.quality import (
    CONFIRMATIONS,
    DAY_MINUTES,
    DEFINITIONS,
    MONITOR,
    PROMISE,
    THRESHOLD,
    WINDOW,
    Metric,
    Monitor,
    Promise,
)

PREFIX: Final = "quality."
THRESHOLD_DEFAULT: Final = 3.5
"""The customary cut-off of robust scores (Iglewicz and Hoaglin, 1993)."""

Place: TypeAlias = tuple[str | None, str]
"""A tenant, or None for everybody, and a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What holds for one tenant. `promises` are by their name, `monitors` in order of theirs."""

    width_us: int = DAY_MINUTES * MINUTE_US
    threshold: float = THRESHOLD_DEFAULT
    confirmations: int = 0
    monitors: tuple[Monitor, ...] = ()
    promises: Mapping[str, Promise] = field(default_factory=dict)

    def threshold_of(self, asset: str, metric: Metric) -> float | None:
        """From how many deviations on a value is unusual; None where nobody wants to know."""
        found = self.threshold
        for monitor in self.monitors:
            if (not monitor.metrics or metric in monitor.metrics) and fnmatchcase(asset, monitor.asset):
                if not monitor.enabled:
                    return None
                found = monitor.threshold or found
        return found


class OptionsBook:
    """The options of every tenant, read anew when the configuration changes. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._accepted: Mapping[Place, Any] = {}
        self._refused: Mapping[Place, str] = {}
        self.reload()

    @property
    def refused(self) -> Mapping[Place, str]:
        """Why which values are not in force."""
        return self._refused

    def reload(self) -> None:
        """Take what is configured now."""
        accepted: dict[Place, Any] = {}
        refused: dict[Place, str] = {}
        for place, resolution in self._settings.under(PREFIX).items():
            definition = next((one for one in DEFINITIONS if one.covers(place[1])), None)
            if definition is None:
                refused[place] = f"{place[1]} is no setting of data quality"
                continue
            try:
                accepted[place] = definition.read(place[1], resolution.value)
            except InvalidInput as error:
                refused[place] = str(error)
                if place in self._accepted:
                    accepted[place] = self._accepted[place]
        self._accepted, self._refused = accepted, refused

    def of(self, tenant: str) -> Options:
        """What holds for this tenant."""
        values = dict(self._values(None)) | dict(self._values(tenant))
        return Options(
            width_us=values.get(WINDOW.pattern, DAY_MINUTES) * MINUTE_US,
            threshold=values.get(THRESHOLD.pattern, THRESHOLD_DEFAULT),
            confirmations=values.get(CONFIRMATIONS.pattern, 0),
            monitors=tuple(values[key] for key in sorted(values) if MONITOR.covers(key)),
            promises={key.rpartition(".")[2]: values[key] for key in sorted(values) if PROMISE.covers(key)},
        )

    def _values(self, tenant: str | None) -> Iterator[tuple[str, Any]]:
        return ((key, value) for (of, key), value in self._accepted.items() if of == tenant)
