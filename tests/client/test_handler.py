"""Which of the two kinds of handler something is."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import pytest
from sqlalchemy import Connection

from trunkline.client.handler import Received, Refusal, takes_transaction
from trunkline.codec import Record
from trunkline.errors import InvalidInput


class Stored:
    def handle(self, tx: Connection, events: Sequence[Received]) -> None: ...

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None: ...


class Plain:
    def handle(self, events: Sequence[Received]) -> None: ...


class PlainWithMore:
    def handle(self, events: Sequence[Received], retries: int = 3) -> None: ...


def open_wrapper(handle: Callable[..., None]) -> Callable[..., None]:
    def wrapper(*arguments: object) -> None:
        handle(*arguments)

    return wrapper


class WrappedStored(Stored):
    handle = open_wrapper(Stored.handle)


class WrappedPlain(Plain):
    handle = wraps(Plain.handle)(open_wrapper(Plain.handle))


class WithoutArguments:
    def handle(self) -> None: ...


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (Stored(), True),
        (WrappedStored(), True),
        (Plain(), False),
        (PlainWithMore(), False),
        (WrappedPlain(), False),
    ],
)
def test_a_handler_is_told_by_what_it_takes(handler: Any, *, expected: bool) -> None:
    assert takes_transaction(handler) is expected


@pytest.mark.parametrize("handler", [WithoutArguments(), object(), None, print])
def test_what_is_neither_is_refused(handler: Any) -> None:
    with pytest.raises(InvalidInput, match="is no handler"):
        takes_transaction(handler)
