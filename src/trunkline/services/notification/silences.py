"""Silences: what nobody wants to hear of for a while. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from trunkline.catalogue.events.fields import Word
from trunkline.services.notification.conditions import Matcher
from trunkline.services.settings.notification import (
    Condition,
    Name,
    Scalar,
    Severity,
    Test,
    types_of,
)


class Matches(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a silence is about; everything given must hold, and nothing given is everything."""

    rules: Annotated[tuple[Name, ...], Meta(max_length=50)] = ()
    categories: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()
    severities: tuple[Severity, ...] = ()
    types: Annotated[tuple[str, ...], Meta(max_length=50)] = ()
    where: Annotated[dict[str, Scalar | tuple[Scalar, ...] | Test], Meta(max_length=20)] = field(
        default_factory=dict
    )


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """One silence, in force from `starts_us` until before `ends_us`."""

    id: str
    tenant: str
    matches: Matches
    starts_us: int
    ends_us: int
    actor: str
    comment: str

    def covers(self, now_us: int) -> bool:
        """Whether it is in force."""
        return self.starts_us <= now_us < self.ends_us


def silenced_by(
    silences: Sequence[Silence],
    *,
    rule: str,
    category: str,
    severity: str,
    type_name: str,
    data: Mapping[str, Any],
    now_us: int,
) -> Silence | None:
    """The silence in force that this falls under, if any."""
    for silence in silences:
        wanted = silence.matches
        if (
            silence.covers(now_us)
            and _within(rule, wanted.rules)
            and _within(category, wanted.categories)
            and _within(severity, wanted.severities)
            and _meets(wanted, type_name, data)
        ):
            return silence
    return None


def _within(value: str, wanted: Sequence[str]) -> bool:
    return not wanted or value in wanted


def _meets(wanted: Matches, type_name: str, data: Mapping[str, Any]) -> bool:
    if wanted.types and type_name not in types_of(Condition(types=wanted.types)):
        return False
    return not wanted.where or Matcher(Condition(types=("*",), where=wanted.where)).failing(data) is None
