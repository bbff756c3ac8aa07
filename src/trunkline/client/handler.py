"""What a consuming service implements, and what the runtime promises it."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeGuard

import msgspec
from sqlalchemy import Connection

from trunkline.catalogue.events import Event
from trunkline.codec.envelope import Envelope
from trunkline.codec.record import Record
from trunkline.errors import InvalidInput


class PermanentFailure(Exception):  # noqa: N818 - named for what it tells the runtime
    """Raised by a handler: this event can never be handled; put it into the failure ledger and go on."""


class RetryLater(Exception):  # noqa: N818 - named for what it tells the runtime
    """Raised by a handler: the event is fine, the world is not; pause the partition, try the batch again."""


class Received(msgspec.Struct, frozen=True, gc=False):
    """A decoded, validated event and the record it came in."""

    record: Record
    event: Envelope[Event]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record went into the failure ledger: `reason` is one of `failures.REASONS`, `detail` a line."""

    reason: str
    detail: str


class Handler(Protocol):
    """The effect of events on a service's store.

    Both methods run inside the transaction that also holds the dedupe rows, the ledger rows and the consumer
    position; they must use `tx` for every effect and must not commit. A rolled-back batch is handed over
    again, possibly in smaller pieces: a handler keeps no state outside `tx` that a rollback would not undo.
    """

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        """Apply events of one partition, in order, none of them seen before.

        Raises `PermanentFailure`, or any exception that is no outage, when an event is at fault: the runtime
        then repeats the batch event by event and puts the guilty one into the ledger. Raises `RetryLater`
        when the world is at fault; which other exceptions say so, too, is at the head of `blame`.
        """

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """A record of this partition was put into the failure ledger in this same transaction."""


class PlainHandler(Protocol):
    """The effect of events where there is no transaction to share: it sends, or calls, or keeps a file."""

    def handle(self, events: Sequence[Received]) -> None:
        """Apply events of one partition, in order. Any of them may come again, alone or with others.

        Raises as `Handler.handle` does: for an event at fault the runtime goes on event by event and puts the
        guilty one into the ledger, and for `RetryLater` it pauses the partition and tries the batch again.
        """


AnyHandler: TypeAlias = Handler | PlainHandler


def takes_transaction(handler: AnyHandler) -> TypeGuard[Handler]:
    """Whether it is a `Handler`, rather than a `PlainHandler`. Raises `InvalidInput` for what is neither.

    Where the arguments of `handle` fit both, as those of a wrapper do, the method `refused` decides.
    """
    handle = getattr(handler, "handle", None)
    takes_both, takes_events = _fits(handle, None, ()), _fits(handle, ())
    if not takes_both and not takes_events:
        raise InvalidInput(
            f"{type(handler).__name__} is no handler; give it handle(tx, events), as for a ConsumerRuntime, "
            "or handle(events), as for a PlainConsumer"
        )
    return takes_both and (not takes_events or hasattr(handler, "refused"))


def _fits(handle: Callable[..., object] | None, *arguments: object) -> bool:
    if not callable(handle):
        return False
    try:
        inspect.signature(handle).bind(*arguments)
    except TypeError:
        return False
    return True
