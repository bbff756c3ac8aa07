"""Carries faults out on the cast and the cluster, and undoes them."""

import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Final

from trunkline.errors import TrunklineError
from trunkline.testing.torture.cast import Cast
from trunkline.testing.torture.engines import Engine
from trunkline.testing.torture.players import Player
from trunkline.testing.torture.report import Struck
from trunkline.testing.torture.schedule import NATURES, Fault, Kind, Victim

INTERRUPT_SECONDS: Final = 1.5
"""The growth is killed so long after its start; whoever starts it again has to take it up."""

LOCK_SECONDS: Final = 5.0
COMMON_KINDS: Final = frozenset(
    {
        Kind.KILL_CONSUMER,
        Kind.PAUSE_CONSUMER,
        Kind.ZOMBIE_CONSUMER,
        Kind.KILL_PUBLISHER,
        Kind.PAUSE_PUBLISHER,
        Kind.KILL_RELAY,
        Kind.PAUSE_RELAY,
        Kind.LOCK_STORE,
        Kind.FILL_STORE,
        Kind.MEMBER_JOINS,
        Kind.POISON,
        Kind.GROW_TOPIC,
    }
)
"""What can happen on every engine."""

Later = Callable[[float, Callable[[], None]], None]
"""Has something done at a Unix time."""


class Strikes:
    """What was done to whom. `later` is asked to undo it."""

    def __init__(self, cast: Cast, engine: Engine, *, later: Later) -> None:
        self._cast = cast
        self._engine = engine
        self._later = later
        self.struck: Final[list[Struck]] = []
        """Every fault that was due, and why it could not be carried out if it could not."""
        self.problems: Final[list[str]] = []
        """What could not be undone."""
        self.down: Final[set[Player]] = set()
        """Who was killed, and is not to be started again before its time."""

    def strike(self, fault: Fault) -> None:
        """Carry out a fault, and have it undone when it has lasted."""
        now = time.time()
        try:
            undo = self._done(fault)
        except (TrunklineError, OSError, sqlite3.Error) as error:
            self.struck.append(Struck(now, fault, str(error)))
            undo = self._relief(fault)
        else:
            self.struck.append(Struck(now, fault))
        self._later(time.time() + fault.seconds, undo)

    def _done(self, fault: Fault) -> Callable[[], None]:
        """Carry out a fault; returns what ends it."""
        match NATURES[fault.kind].victim:
            case Victim.BROKER:
                self._engine.strike(fault.kind, fault.target)
                return self._relief(fault)
            case Victim.CONSUMER | Victim.PUBLISHER | Victim.RELAY as victim:
                return self._hurt(self._cast.of(victim)[fault.target], fault.kind)
            case Victim.GROUP:
                self._cast.guest.start()
                return self._leave
            case Victim.LOG:
                self._cast.poisoner.poison()
            case Victim.TOPIC:
                self._cast.grower.start()
                self._later(time.time() + INTERRUPT_SECONDS, self._cast.grower.kill)
            case _:
                return self._hurt_store(fault.kind)
        return _nothing

    def _relief(self, fault: Fault) -> Callable[[], None]:
        if NATURES[fault.kind].victim is not Victim.BROKER:
            return _nothing

        def relieve() -> None:
            try:
                self._engine.relieve(fault.kind, fault.target)
            except (TrunklineError, OSError) as error:
                self.problems.append(f"{fault.kind} of broker {fault.target} could not be undone: {error}")

        return relieve

    def _hurt(self, player: Player, kind: Kind) -> Callable[[], None]:
        if not player.running:
            raise TrunklineError(f"{player.name} does not run")
        if kind in {Kind.KILL_CONSUMER, Kind.KILL_PUBLISHER, Kind.KILL_RELAY}:
            player.kill()
            self.down.add(player)

            def start() -> None:
                self.down.discard(player)
                player.start()

            return start
        player.send(signal.SIGSTOP)
        return lambda: player.send(signal.SIGCONT)

    def _leave(self) -> None:
        """The guest leaves the group in good order, without being waited for."""
        self._cast.guest.send(signal.SIGTERM)

    def _hurt_store(self, kind: Kind) -> Callable[[], None]:
        if kind is Kind.FILL_STORE:
            self._cast.full.touch()
            return lambda: self._cast.full.unlink(missing_ok=True)
        lock = sqlite3.connect(self._cast.store_file, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            lock.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            lock.close()
            raise
        return lock.close


def _nothing() -> None:
    pass
