"""What a user wants to hear of, and how. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from trunkline.services.settings.notification import Mode, Preference

ANY: Final = ""
EVERYBODY: Final = "*"
"""The target of what a whole tenant sees; preferences of this name are those of the tenant."""

Chosen: TypeAlias = Mapping[tuple[str, str, str], Mode]
"""What users of a tenant chose, by user, category and channel, where `ANY` stands for all."""


def mode_for(
    chosen: Chosen, defaults: Sequence[Preference], *, user: str, category: str, channel: str
) -> Mode:
    """How a user hears of a category on a channel.

    The user's own choice counts, the more precise before the wider and a category before a channel; then
    the first default that fits; else at once.
    """
    for at in ((category, channel), (category, ANY), (ANY, channel), (ANY, ANY)):
        own = chosen.get((user, *at))
        if own is not None:
            return own
    for default in defaults:
        if default.category in (None, category) and default.channel in (None, channel):
            return default.mode
    return "immediate"
