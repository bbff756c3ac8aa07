"""One consistent read for an answer, which says up to where in the topics it is true."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request, Response
from sqlalchemy import Connection

from trunkline.client.store import Store
from trunkline.client.store.position import positions

CONSUMED_THROUGH: Final = "x-consumed-through"


@dataclass(frozen=True, slots=True)
class Reading:
    """A transaction that reads, on one snapshot."""

    tx: Connection


def _reading(request: Request, response: Response) -> Iterator[Reading]:
    """Sets `x-consumed-through: topic/partition=offset, …`: next offsets, in the same snapshot.

    Whoever has published an event and knows its offset can so wait until an answer includes it.
    """
    store: Store = request.app.state.store
    with store.read() as tx:
        found = positions(tx)
        response.headers[CONSUMED_THROUGH] = ", ".join(
            f"{topic}/{partition}={offset}" for (topic, partition), offset in sorted(found.items())
        )
        yield Reading(tx)


reading: Final = Depends(_reading)
"""A route's parameter `at: Annotated[Reading, reading]`."""

AtReading = Annotated[Reading, reading]
