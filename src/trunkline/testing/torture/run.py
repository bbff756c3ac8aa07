"""Leads a run: strikes on schedule, lets the system come to rest, and gathers the evidence.

One thread does all of it, because the processes die with the thread that started them.
"""

import heapq
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.reader import TopicReader
from trunkline.errors import TrunklineError
from trunkline.testing.checker import Identity, Logged, Position
from trunkline.testing.torture import journal
from trunkline.testing.torture.applying import made, waiting
from trunkline.testing.torture.cast import CONSUMERS, GROUP, PUBLISHERS, RELAYS, Cast, Plan
from trunkline.testing.torture.effects import read_effects, read_ledger, read_reached
from trunkline.testing.torture.engines import Engine
from trunkline.testing.torture.publishing import TOPIC
from trunkline.testing.torture.report import Course, TortureReport, report_on
from trunkline.testing.torture.schedule import Abilities, Fault, draw
from trunkline.testing.torture.strikes import COMMON_KINDS, Strikes
from trunkline.testing.torture.verdict import Evidence

TICK_SECONDS: Final = 0.02
DRAIN_SECONDS_MAX: Final = 120.0


def torture(plan: Plan, engine: Engine, *, say: Callable[[str], None]) -> TortureReport:
    """Carry out a run on a cluster that is up. Raises `TrunklineError` if it could not even begin."""
    with closing(Cast(plan, engine)) as cast:
        stage = _Stage(plan, engine, cast)
        schedule = draw(
            plan.seed,
            seconds=plan.seconds,
            abilities=Abilities(
                kinds=COMMON_KINDS | engine.kinds,
                brokers=plan.brokers,
                consumers=CONSUMERS,
                publishers=PUBLISHERS + 1,
                relays=RELAYS,
            ),
            faults_min=plan.faults_min,
        )
        say(f"seed {plan.seed}: {len(schedule)} faults in {plan.seconds:g} s on {plan.engine}")
        stage.play(schedule)
        say("no more faults; waiting until everything has come to rest")
        return stage.judge()


class _Stage:
    """What happens when, and what it has come to."""

    def __init__(self, plan: Plan, engine: Engine, cast: Cast) -> None:
        self._plan = plan
        self._cast = cast
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._strikes = Strikes(cast, engine, later=self._later)
        self._overdue: list[str] = []

    def play(self, schedule: tuple[Fault, ...]) -> None:
        """Carry out all faults, and undo them."""
        for fault in schedule:
            self._later(self._cast.began + fault.at, lambda fault=fault: self._strikes.strike(fault))  # type: ignore[misc]
        while self._due or time.time() < self._cast.began + self._plan.seconds:
            self._tick()

    def _later(self, at: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, action))

    def _tick(self) -> None:
        while self._due and self._due[0][0] <= time.time():
            heapq.heappop(self._due)[2]()
        self._cast.poisoner.poll()
        for player in [*self._cast.crew, self._cast.grower]:
            if player not in self._strikes.down:
                player.revive()
        time.sleep(TICK_SECONDS)

    def judge(self) -> TortureReport:
        """Wait until nothing moves any more, end everybody, and hold the evidence against the promises."""
        cast, rested = self._cast, time.time()
        self._wait("the publishers have not finished", lambda: all(player.done for player in cast.publishers))
        cast.poisoner.close()
        self._wait("the relays have not emptied the outbox", lambda: waiting(cast.outbox) == 0)
        self._wait("the topic has not grown", lambda: cast.grower.done)
        self._wait("the consumers have not reached the end of the log", self._caught_up)
        drained = time.time() - rested
        for player in [*cast.consumers, cast.guest, *cast.relays]:
            player.end()
        players = [*cast.consumers, cast.guest, *cast.relays, *cast.publishers]
        deaths = [death for player in players for death in player.deaths]
        effects, times = read_effects(cast.store)
        evidence = Evidence(
            journal=[
                *(entry for file in cast.journal_files() for entry in journal.read(file)),
                *made(cast.outbox),
            ],
            log=list(read_log(cast.connection)),
            effects=effects,
            ledger=read_ledger(cast.store, GROUP),
            reached=read_reached(cast.store, GROUP),
        )
        course = Course(
            engine=self._plan.engine,
            seed=self._plan.seed,
            seconds=self._plan.seconds,
            faults_wanted=self._plan.faults_min,
            began=cast.began,
            struck=self._strikes.struck,
            effect_times=times,
            drain_seconds=drained,
            gave_up=sum(player.gave_up for player in players),
            problems=[*self._strikes.problems, *self._overdue, *deaths],
        )
        return report_on(course, evidence, kept=None)

    def _wait(self, problem: str, condition: Callable[[], bool]) -> None:
        deadline = time.time() + DRAIN_SECONDS_MAX
        while not condition():
            if time.time() > deadline:
                self._overdue.append(f"{problem} after {DRAIN_SECONDS_MAX:g} s")
                return
            self._tick()

    def _caught_up(self) -> bool:
        try:
            ends = ends_of(self._cast.connection)
        except TrunklineError:
            return False
        reached = read_reached(self._cast.store, GROUP)
        return all(reached.get(key, 0) >= end for key, (begin, end) in ends.items() if end > begin)


def ends_of(connection: ConnectionOptions) -> dict[tuple[str, int], tuple[int, int]]:
    """First offset and the one after the last, by partition of the topic."""
    admin = Admin(admin_config(connection))
    partitions = admin.describe([TOPIC])[TOPIC].partitions
    return admin.offsets([(TOPIC, number) for number in range(partitions)])


def read_log(connection: ConnectionOptions) -> Iterator[Logged]:
    """The whole log, by the raw headers and not by the codec under test."""
    with TopicReader(connection, TOPIC) as reader:
        for record in reader.existing():
            headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
            yield Logged(
                position=Position(record.topic, record.partition, record.offset),
                key=(record.key or b"").decode(errors="replace"),
                identity=Identity(
                    headers.get("ce_tenantid", ""), headers.get("ce_source", ""), headers.get("ce_id", "")
                ),
            )
