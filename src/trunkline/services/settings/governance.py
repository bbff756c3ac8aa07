"""When failed checks keep readers away from an asset, and when it is released.

trunkline config set governance.quarantine.error '{"fails": 2, "runs": 5, "mode": "warn"}' --tenant acme
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from trunkline.catalogue.events.quality import Severity
from trunkline.services.settings.registry import LEVELS, Definition

RUNS_MAX: Final = 20
"""How far back a rule looks, and how many passes a release may ask for."""

ROLES_MAX: Final = 20

QuarantineMode: TypeAlias = Literal["off", "monitor", "warn", "enforce"]
Runs: TypeAlias = Annotated[int, Meta(ge=1, le=RUNS_MAX)]
Role: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check that fails `fails` times in its last `runs` runs quarantines its asset, in this mode.

    `off`: failures of this severity quarantine nothing.
    """

    fails: Runs
    runs: Runs
    mode: QuarantineMode = "enforce"


def _possible(trigger: Trigger, _key: str) -> None:
    if trigger.fails > trigger.runs:
        raise ValueError(f"{trigger.fails} failures in {trigger.runs} runs cannot be; raise `runs`")


def _trigger(severity: Severity, title: str) -> Definition[Trigger]:
    return Definition(
        f"governance.quarantine.{severity}", Trigger, levels=LEVELS, title=title, check=_possible
    )


TRIGGERS: Final[dict[Severity, Definition[Trigger]]] = {
    "critical": _trigger("critical", "When critical failures of a check quarantine its asset"),
    "error": _trigger("error", "When failures of a check that are errors, or worse, quarantine its asset"),
    "warning": _trigger("warning", "When failures that are warnings, or worse, quarantine its asset"),
}

PASSES: Final[Definition[int]] = Definition(
    "governance.quarantine.release_passes",
    Runs,
    levels=LEVELS,
    title="How many times in a row a check must pass before its asset is released",
)

EXEMPT_ROLES: Final[Definition[tuple[Role, ...]]] = Definition(
    "governance.quarantine.exempt_roles",
    Annotated[tuple[Role, ...], Meta(max_length=ROLES_MAX)],
    levels=LEVELS,
    title="Roles that may read a quarantined table, to repair it",
)

PREFIX: Final = "governance.quarantine."
DEFINITIONS: Final = (*TRIGGERS.values(), PASSES, EXEMPT_ROLES)
