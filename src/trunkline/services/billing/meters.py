"""Which meters there are: the built-in ones, and the versions that the settings have added. Pure.

A version is in force from its `effective_us` until a newer one is, by the time of the event. Aggregation and
unit are the same in all versions of a meter: a number that means something else needs another name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from trunkline.errors import InvalidInput
from trunkline.services.billing.months import EPOCH, to_us
from trunkline.services.settings import billing as settings

FOR_EVER: Final = 1 << 62


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a meter, in force for events from `from_us` until before `until_us`."""

    code: str
    version: int
    event_type: str
    aggregation: settings.Aggregation
    unit: str
    values: tuple[str, ...]
    factor: Decimal
    group_by: tuple[str, ...]
    from_us: int
    until_us: int

    @property
    def always(self) -> bool:
        """Whether it is the only version that ever was in force."""
        return self.from_us <= -FOR_EVER and self.until_us >= FOR_EVER


Stored: TypeAlias = tuple[str, int, int, str]
"""Code, version, when it takes effect, and the setting as JSON: a row of the table `meter`."""


@dataclass(frozen=True, slots=True)
class Meters:
    """All versions of all meters."""

    versions: tuple[Version, ...]
    by_type: Mapping[str, tuple[Version, ...]]

    def newest(self) -> dict[str, Version]:
        """The newest version of each meter, by code."""
        return {version.code: version for version in self.versions}

    def find(self, name: str) -> Version:
        """The newest version of a meter, named in any case. Raises `InvalidInput` where there is none."""
        newest, code = self.newest(), name.upper()
        if code not in newest:
            raise InvalidInput(f"there is no meter {name[:80]}; there are {', '.join(sorted(newest))}")
        return newest[code]


@lru_cache(8)
def meters_of(stored: tuple[Stored, ...]) -> Meters:
    """The built-in meters and what was stored."""
    found: dict[str, dict[int, tuple[int, settings.Meter]]] = {
        code: {1: (to_us(EPOCH), meter)} for code, meter in settings.BUILT_IN.items()
    }
    for code, number, effective_us, definition in stored:
        read = msgspec.json.decode(definition, type=settings.Meter)
        found.setdefault(code, {})[number] = (effective_us, read)
    versions = tuple(version for code in sorted(found) for version in _versions(code, found[code]))
    by_type: dict[str, tuple[Version, ...]] = {}
    for version in versions:
        by_type[version.event_type] = (*by_type.get(version.event_type, ()), version)
    return Meters(versions, by_type)


def _versions(code: str, found: Mapping[int, tuple[int, settings.Meter]]) -> Iterable[Version]:
    for number in sorted(found):
        effective_us, meter = found[number]
        later = (begin for other, (begin, _) in found.items() if other > number)
        first = min(found) == number
        yield Version(
            code=code,
            version=number,
            event_type=meter.event_type,
            aggregation=meter.aggregation,
            unit=meter.unit,
            values=meter.values,
            factor=Decimal(meter.factor),
            group_by=meter.group_by,
            from_us=-FOR_EVER if first and meter.effective_from is None else effective_us,
            until_us=min(later, default=FOR_EVER),
        )


def added(known: Meters, code: str, meter: settings.Meter) -> Stored | None:
    """The row that a setting adds; None when it is known. Raises `InvalidInput` if it cannot follow."""
    before = known.newest().get(code)
    row = (code, meter.version, to_us(meter.effective_from or EPOCH), msgspec.json.encode(meter).decode())
    if before is None:
        return row
    if meter.version < before.version:
        raise InvalidInput(
            f"meter {code} is at version {before.version}; a change of it is version {before.version + 1}"
        )
    if meter.version == before.version:
        if _same(before, meter):
            return None
        raise InvalidInput(
            f"meter {code} has a version {meter.version} already, which never changes; "
            f"make it version {meter.version + 1}"
        )
    if (meter.aggregation, meter.unit) != (before.aggregation, before.unit):
        raise InvalidInput(
            f"meter {code} is a {before.aggregation} of {before.unit} and stays one; "
            "make another meter of another name"
        )
    if meter.effective_from is None:
        raise InvalidInput(f"meter {code}: say from when version {meter.version} counts, in effective_from")
    return row


def _same(version: Version, meter: settings.Meter) -> bool:
    def told(one: Version | settings.Meter) -> tuple[object, ...]:
        return (one.event_type, one.aggregation, one.unit, one.values, Decimal(one.factor), one.group_by)

    begins = meter.effective_from is None or to_us(meter.effective_from) == version.from_us
    return told(version) == told(meter) and begins
