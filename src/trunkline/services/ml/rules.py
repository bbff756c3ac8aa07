"""What may follow what in the life of a model's version. Pure.

    none ──> development ──> staging ──> production
               │  ^            │  ^  ^       │  │
               │  └────────────┘  │  └───────┘  │
               └───────────> archived <─────────┘

Every stage can be archived, and what is archived comes back as staging: that is how a release is taken back
to a version before it. Production needs the word of a second person.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trunkline.catalogue.events.fields import COUNT_MAX
from trunkline.catalogue.events.model import Stage
from trunkline.errors import InvalidInput, NotFound, TrunklineError

TRANSITIONS: Final[Mapping[Stage, tuple[Stage, ...]]] = MappingProxyType(
    {
        "none": ("development", "archived"),
        "development": ("staging", "archived"),
        "staging": ("production", "development", "archived"),
        "production": ("staging", "archived"),
        "archived": ("staging",),
    }
)
NEED_APPROVAL: Final[frozenset[Stage]] = frozenset({"production"})
NOT_DEPLOYED: Final[frozenset[Stage]] = frozenset({"none", "archived"})
"""Stages in which a version serves nobody."""


class Refused(TrunklineError):  # noqa: N818 - reads as what it is
    """The registry's state does not allow it; nothing was changed."""


class NotRegistered(NotFound):
    """There is no such model, version, alias, tag or deployment."""


def require_name(what: str, text: str) -> None:
    """Raises `InvalidInput` for what could not be written as `MODEL@ALIAS` or in a path."""
    if not text or not text.isprintable() or text != text.strip() or any(char in text for char in "/@"):
        raise InvalidInput(f"{what} {text[:80]!r}: use letters, digits and signs, but no / and no @")


def require_text(**texts: str | None) -> None:
    """Raises `InvalidInput` for a text with NUL, which no database keeps."""
    for what, text in texts.items():
        if text is not None and "\0" in text:
            raise InvalidInput(f"{what} contains NUL, which no database keeps")


def require_count(what: str, number: int) -> None:
    """Raises `InvalidInput` for what is no number of things."""
    if not 1 <= number <= COUNT_MAX:
        raise InvalidInput(f"{what} {number}: use a number from 1 on")


def require_stage(text: str) -> Stage:
    """The stage of this name. Raises `InvalidInput`."""
    found = next((stage for stage in TRANSITIONS if stage == text), None)
    if found is None:
        raise InvalidInput(f"{text[:80]!r} is no stage; use {', '.join(TRANSITIONS)}")
    return found


def require_transition(name: str, *, before: Stage, after: Stage) -> None:
    """Raises `Refused` where a stage does not follow the other."""
    if after == before:
        raise Refused(f"{name} is in {before} already")
    if after not in TRANSITIONS[before]:
        raise Refused(f"{name} is in {before}: from there it goes to {' or '.join(TRANSITIONS[before])} only")


def require_second_person(name: str, *, asked_by: str, approver: str) -> None:
    """Raises `Refused` for somebody who approves what they have asked for."""
    if approver == asked_by:
        raise Refused(f"{name}: {approver} asked for it, so somebody else has to approve it")


def require_stage_for_deployment(name: str, stage: Stage) -> None:
    """Raises `Refused` for a version that is not to serve anybody."""
    if stage in NOT_DEPLOYED:
        raise Refused(f"{name} is in {stage}: move it to development, staging or production first")
