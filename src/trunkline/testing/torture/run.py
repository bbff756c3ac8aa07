"""Leads a run: starts everybody, strikes on schedule, lets the system come to rest, and gathers the evidence.

One thread does all of it, because the processes die with the thread that started them.
"""

import heapq
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.reader import TopicReader
from trunkline.client.store import migrate, open_store
from trunkline.errors import TrunklineError
from trunkline.testing.checker import Identity, Logged, Position
from trunkline.testing.processes import TRUNKLINE
from trunkline.testing.torture import journal
from trunkline.testing.torture.actor import ConsumerTask
from trunkline.testing.torture.applying import SERVICE, ApplicationTask, made, open_outbox, waiting
from trunkline.testing.torture.effects import read_effects, read_ledger, read_reached
from trunkline.testing.torture.engines import Engine
from trunkline.testing.torture.players import ACTOR, Player
from trunkline.testing.torture.poison import Poisoner
from trunkline.testing.torture.publishing import TOPIC, PublisherTask
from trunkline.testing.torture.report import Course, Struck, TortureReport, report_on
from trunkline.testing.torture.sabotage import Safeguard
from trunkline.testing.torture.schedule import NATURES, Abilities, Fault, Kind, Victim, draw
from trunkline.testing.torture.verdict import Evidence

GROUP: Final = "torture"
PARTITIONS: Final = 3
GROWN: Final = 6
"""Partitions after the growth in mid-run."""

INTERRUPT_SECONDS: Final = 1.5
"""The growth is killed so long after its start; whoever starts it again has to take it up."""

CONSUMERS: Final = 3
PUBLISHERS: Final = 2
"""Besides, there is a service with an outbox, which counts as one more to be hurt."""

RELAYS: Final = 2
TENANTS_EACH: Final = 6
RATE: Final = 150.0
"""Events a second of each publisher: enough that every fault meets some, and little beside the machine."""

TICK_SECONDS: Final = 0.02
DRAIN_SECONDS_MAX: Final = 120.0
ANSWER_SECONDS: Final = 60.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run. `without` takes one safeguard away from the consumers."""

    engine: str
    seed: int
    seconds: float
    faults_min: int
    brokers: int
    directory: Path
    without: Safeguard | None = None


def torture(plan: Plan, engine: Engine, *, say: Callable[[str], None]) -> TortureReport:
    """Carry out a run on a cluster that is up. Raises `TrunklineError` if it could not even begin."""
    with _Stage(plan, engine) as stage:
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
    """Everybody in a run, and what is happening to them."""

    def __init__(self, plan: Plan, engine: Engine) -> None:
        self._plan = plan
        self._engine = engine
        self._connection = ConnectionOptions(bootstrap_servers=engine.bootstrap_servers, client_id="torture")
        self._open = ExitStack()
        self._store_file = plan.directory / "store.db"
        self._outbox_file = plan.directory / "outbox.db"
        self._full = plan.directory / "full"
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._struck: list[Struck] = []
        self._problems: list[str] = []
        self._down: set[Player] = set()
        self._began = 0.0

    def __enter__(self) -> "_Stage":
        with ExitStack() as undo:
            undo.callback(self._open.close)
            self._set()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _set(self) -> None:
        plan = self._plan
        admin = Admin(admin_config(self._connection))
        _ready(admin)
        replicas = self._engine.replication_factor
        admin.create(
            TOPIC,
            partitions=PARTITIONS,
            replication_factor=replicas,
            config={"min.insync.replicas": str(min(2, replicas))},
        )
        self._store = self._open.enter_context(closing(open_store(f"sqlite:///{self._store_file}")))
        migrate(self._store)
        self._outbox = self._open.enter_context(closing(open_outbox(str(self._outbox_file))))
        self._began = time.time()
        tenants = tuple(f"tenant-{number:02}" for number in range(PUBLISHERS * TENANTS_EACH))
        self._publishers = [
            self._player(f"publisher-{number}", "publisher", self._publisher_task(number, tenants))
            for number in range(PUBLISHERS)
        ]
        self._publishers.append(self._player("application", "application", self._application_task()))
        self._relays = [self._relay(number) for number in range(RELAYS)]
        self._consumers = [self._consumer(number) for number in range(CONSUMERS)]
        self._cast = {
            Victim.CONSUMER: self._consumers,
            Victim.PUBLISHER: self._publishers,
            Victim.RELAY: self._relays,
        }
        self._guest = self._consumer(CONSUMERS)
        self._grower = Player("grower", self._growing(), log=plan.directory / "grower.log")
        self._open.callback(self._grower.kill)
        self._poisoner = Poisoner(self._engine.bootstrap_servers, TOPIC, tenants=tenants, seed=plan.seed)
        self._open.callback(self._poisoner.close)
        for player in [*self._consumers, *self._publishers, *self._relays]:
            player.start()

    def _growing(self) -> list[str]:
        """The daily command. The contract's own consumers of the topic do not run here."""
        unsafe = ["--unsafe"] if self._plan.without is Safeguard.FENCE else []
        strangers = load_catalogue().topic(TOPIC).consumers
        ignored = [option for group in strangers for option in ("--ignore-group", group)]
        servers = self._engine.bootstrap_servers
        return [
            *TRUNKLINE, "topics", "grow", TOPIC, "-n", str(GROWN), "-b", servers, "--json", *ignored, *unsafe
        ]  # fmt: skip

    def _application_task(self) -> ApplicationTask:
        return ApplicationTask(
            store=str(self._outbox_file),
            tenants=tuple(f"order-{number}" for number in range(TENANTS_EACH)),
            until=self._began + self._plan.seconds,
        )

    def _relay(self, number: int) -> Player:
        servers = self._engine.bootstrap_servers
        command = [*TRUNKLINE, "relay", "--service", SERVICE, "--store", f"sqlite:///{self._outbox_file}"]
        name = f"relay-{number}"
        player = Player(name, [*command, "-b", servers], log=self._plan.directory / f"{name}.log")
        self._open.callback(player.kill)
        return player

    def _publisher_task(self, number: int, tenants: tuple[str, ...]) -> PublisherTask:
        return PublisherTask(
            bootstrap_servers=self._engine.bootstrap_servers,
            number=number,
            journal=str(self._journal_file(number)),
            tenants=tenants[number::PUBLISHERS],
            rate=RATE,
            until=self._began + self._plan.seconds,
            seed=self._plan.seed,
            without=self._plan.without,
        )

    def _journal_file(self, number: int) -> Path:
        return self._plan.directory / f"publisher-{number}.journal"

    def _consumer(self, number: int) -> Player:
        task = ConsumerTask(
            bootstrap_servers=self._engine.bootstrap_servers,
            group=GROUP,
            member=number,
            store=str(self._store_file),
            full=str(self._full),
            without=self._plan.without,
        )
        return self._player(f"consumer-{number}", "consumer", task)

    def _player(self, name: str, role: str, task: msgspec.Struct) -> Player:
        command = (*ACTOR, role, msgspec.json.encode(task).decode())
        player = Player(name, command, log=self._plan.directory / f"{name}.log")
        self._open.callback(player.kill)
        return player

    # The faults

    def play(self, schedule: tuple[Fault, ...]) -> None:
        """Carry out all faults, and undo them."""
        for fault in schedule:
            self._later(self._began + fault.at, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        while self._due or time.time() < self._began + self._plan.seconds:
            self._tick()

    def _later(self, at: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, action))

    def _tick(self) -> None:
        while self._due and self._due[0][0] <= time.time():
            heapq.heappop(self._due)[2]()
        self._poisoner.poll()
        for player in [*self._consumers, *self._publishers, *self._relays, self._grower]:
            if player not in self._down:
                player.revive()
        time.sleep(TICK_SECONDS)

    def _strike(self, fault: Fault) -> None:
        now = time.time()
        try:
            undo = self._done(fault)
        except (TrunklineError, OSError, sqlite3.Error) as error:
            self._struck.append(Struck(now, fault, str(error)))
            undo = self._relief(fault)
        else:
            self._struck.append(Struck(now, fault))
        self._later(time.time() + fault.seconds, undo)

    def _done(self, fault: Fault) -> Callable[[], None]:
        """Carry out a fault; returns what ends it."""
        match NATURES[fault.kind].victim:
            case Victim.BROKER:
                self._engine.strike(fault.kind, fault.target)
                return self._relief(fault)
            case Victim.CONSUMER | Victim.PUBLISHER | Victim.RELAY as victim:
                return self._hurt(self._cast[victim][fault.target], fault.kind)
            case Victim.GROUP:
                self._guest.start()
                return self._leave
            case Victim.LOG:
                self._poisoner.poison()
            case Victim.TOPIC:
                self._grower.start()
                self._later(time.time() + INTERRUPT_SECONDS, self._grower.kill)
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
                self._problems.append(f"{fault.kind} of broker {fault.target} could not be undone: {error}")

        return relieve

    def _hurt(self, player: Player, kind: Kind) -> Callable[[], None]:
        if not player.running:
            raise TrunklineError(f"{player.name} does not run")
        if kind in {Kind.KILL_CONSUMER, Kind.KILL_PUBLISHER, Kind.KILL_RELAY}:
            player.kill()
            self._down.add(player)

            def start() -> None:
                self._down.discard(player)
                player.start()

            return start
        player.send(signal.SIGSTOP)
        return lambda: player.send(signal.SIGCONT)

    def _leave(self) -> None:
        """The guest leaves the group in good order, without being waited for."""
        self._guest.send(signal.SIGTERM)

    def _hurt_store(self, kind: Kind) -> Callable[[], None]:
        if kind is Kind.FILL_STORE:
            self._full.touch()
            return lambda: self._full.unlink(missing_ok=True)
        lock = sqlite3.connect(self._store_file, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            lock.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            lock.close()
            raise
        return lock.close

    # The end

    def judge(self) -> TortureReport:
        """Wait until nothing moves any more, end everybody, and hold the evidence against the promises."""
        rested = time.time()
        self._wait(
            "the publishers have not finished", lambda: all(player.done for player in self._publishers)
        )
        self._poisoner.close()
        self._wait("the relays have not emptied the outbox", lambda: waiting(self._outbox) == 0)
        self._wait("the topic has not grown", lambda: self._grower.done)
        self._wait("the consumers have not reached the end of the log", self._caught_up)
        drained = time.time() - rested
        for player in [*self._consumers, self._guest, *self._relays]:
            player.end()
        players = [*self._consumers, self._guest, *self._relays, *self._publishers]
        self._problems += [death for player in players for death in player.deaths]
        effects, times = read_effects(self._store)
        evidence = Evidence(
            journal=[
                *(
                    entry
                    for number in range(PUBLISHERS)
                    for entry in journal.read(self._journal_file(number))
                ),
                *made(self._outbox),
            ],
            log=list(read_log(self._connection)),
            effects=effects,
            ledger=read_ledger(self._store, GROUP),
            reached=read_reached(self._store, GROUP),
        )
        course = Course(
            engine=self._plan.engine,
            seed=self._plan.seed,
            seconds=self._plan.seconds,
            faults_wanted=self._plan.faults_min,
            began=self._began,
            struck=self._struck,
            effect_times=times,
            drain_seconds=drained,
            gave_up=sum(player.gave_up for player in players),
            problems=self._problems,
        )
        return report_on(course, evidence, kept=None)

    def _wait(self, problem: str, condition: Callable[[], bool]) -> None:
        deadline = time.time() + DRAIN_SECONDS_MAX
        while not condition():
            if time.time() > deadline:
                self._problems.append(f"{problem} after {DRAIN_SECONDS_MAX:g} s")
                return
            self._tick()

    def _caught_up(self) -> bool:
        try:
            ends = ends_of(self._connection)
        except TrunklineError:
            return False
        reached = read_reached(self._store, GROUP)
        return all(reached.get(key, 0) >= end for key, (begin, end) in ends.items() if end > begin)


def _nothing() -> None:
    pass


def _ready(admin: Admin) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            admin.cluster_id()
        except TrunklineError:
            if time.monotonic() > deadline:
                raise
        else:
            return


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
