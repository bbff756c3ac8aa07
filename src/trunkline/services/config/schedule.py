"""Applies plans when their time has come."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from trunkline.client.log import Log
from trunkline.services.config import plans
from trunkline.services.config.desk import ConfigDesk
from trunkline.services.config.plans import Status

LOOK_SECONDS: Final = 1.0
"""How late a plan may be that another process has made; one that is known is applied at its time."""

WAIT_MIN_SECONDS: Final = 0.01

_log = Log("trunkline.config")


class Schedule:
    """The work of a `Worker`. Any number of instances may do it at once on one database."""

    def __init__(
        self,
        desk: ConfigDesk,
        *,
        wall: Callable[[], datetime],
        ready: Callable[[], bool],
        settled: Callable[[Status], None],
    ) -> None:
        """`settled` counts what became of plans. Nothing is applied while not `ready`."""
        self._desk = desk
        self._wall = wall
        self._ready = ready
        self._settled = settled

    def __call__(self) -> float:
        """Apply what is due; returns in how many seconds to look again."""
        if not self._ready():
            return LOOK_SECONDS
        wait = self._wait()
        if wait > 0:
            return min(LOOK_SECONDS, wait)
        for one in self._desk.apply_due():
            self._settled(one.status)
            if one.status is Status.REFUSED:
                _log.error("a planned change was refused", plan=one.id, key=one.key, reason=one.note or "")
        return max(WAIT_MIN_SECONDS, min(LOOK_SECONDS, self._wait()))

    def _wait(self) -> float:
        with self._desk.store.read() as tx:
            due = plans.next_due(tx)
        return LOOK_SECONDS if due is None else (due - self._wall()).total_seconds()
