"""What the modules of the API share."""

from typing import Annotated, Final

from fastapi import Query

from trunkline.services.app import Context
from trunkline.services.kit.api import Caller, Problem, decode_cursor
from trunkline.services.notification.facts import to_us

MANAGE: Final = "notifications:manage"
"""The scope of a token that may change what concerns others of the tenant: retries, silences, secrets."""

After = Annotated[str | None, Query(description="The cursor of the page before.")]


def require_manager(who: Caller) -> None:
    """Raises `Problem` 403."""
    if MANAGE not in who.scopes and not who.is_operator:
        raise Problem(403, f"this needs a token with the scope {MANAGE}")


def place_of(after: str | None) -> tuple[int, str] | None:
    """The place in a cursor. Raises `InvalidInput`."""
    return None if after is None else decode_cursor(after, tuple[int, str])


def now_us(context: Context) -> int:
    """Now, in microseconds."""
    return to_us(context.wall())
