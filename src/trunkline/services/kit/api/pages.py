"""Pages of a stable order: a cursor is the place behind the last item, not a number of items to skip."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from fastapi import Query

from trunkline.errors import InvalidInput

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000

T = TypeVar("T")

PageSize = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many items at most.")]
"""A route's parameter `limit: PageSize = PAGE_DEFAULT`."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items; `next` is the cursor of those behind them, None at the end."""

    items: Sequence[T]
    next: str | None


def encode_cursor(place: Sequence[str | int]) -> str:
    """The place of an item in its order, as opaque text."""
    return urlsafe_b64encode(msgspec.json.encode(list(place))).decode().rstrip("=")


def decode_cursor(cursor: str, place: type[T]) -> T:
    """The place in a cursor, as a type such as `tuple[int, str]`. Raises `InvalidInput`."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=place)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(f"cursor {cursor[:80]!r} is not one of this query") from error


def page_of(found: Sequence[T], limit: int, place: Callable[[T], Sequence[Any]]) -> Page[T]:
    """A page from a query for one item more than `limit`: that one tells whether there are more."""
    items = found[:limit]
    more = len(found) > limit
    return Page(items, encode_cursor(place(items[-1])) if more else None)
