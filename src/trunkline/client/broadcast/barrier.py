"""Waits until every instance that runs has applied a version, for a deployment that depends on it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from trunkline.client.broadcast.entries import Name
from trunkline.client.broadcast.overview import InstanceView, Standing
from trunkline.client.broadcast.reading import read_overview, read_state
from trunkline.client.config import ConnectionOptions

LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """What waiting came to. `version` is the one in the topic, None while the name is not there.

    `waiting` are the instances that run and have not said that they have applied it; without any, and with
    `published`, it is `passed`.
    """

    version: int | None
    published: bool
    instances: int
    waiting: tuple[InstanceView, ...]

    @property
    def passed(self) -> bool:
        """Whether everybody has it."""
        return self.published and not self.waiting


def wait_applied(
    connection: ConnectionOptions,
    name: Name,
    *,
    version: int,
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Barrier:
    """Wait until the topic has this version of the name, or a later one, and all instances have applied it.

    Who has been silent for 15 s counts as gone and is not waited for. Raises as `read_state` does.
    """
    deadline = monotonic() + seconds
    positions: dict[int, int] | None = None
    found: int | None = None
    while True:
        if positions is None:
            whole = read_state(connection)
            entry = whole.state.entries.get(name)
            found = None if entry is None else entry.version
            positions = whole.positions if found is not None and found >= version else None
        views = read_overview(connection, now=datetime.now(UTC))
        running = [view for view in views if view.standing is not Standing.GONE]
        barrier = Barrier(
            version=found,
            published=positions is not None,
            instances=len(running),
            waiting=tuple(running if positions is None else not_there(running, positions)),
        )
        if barrier.passed or monotonic() >= deadline:
            return barrier
        sleep(LOOK_SECONDS)


def not_there(running: Sequence[InstanceView], positions: Mapping[int, int]) -> list[InstanceView]:
    """Those that have not read so far, or have come to another state than the others. Pure."""
    return [
        view
        for view in running
        if view.standing is Standing.DIVERGED
        or any(view.positions.get(number, 0) < offset for number, offset in positions.items())
    ]
