"""Everybody in a run: consumers and the store they share, publishers, a service with an outbox, its relays.

All are processes of their own, so that each can be killed alone.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin
from trunkline.client.store import migrate, open_store
from trunkline.errors import TrunklineError
from trunkline.testing.processes import TRUNKLINE
from trunkline.testing.torture.actor import ConsumerTask
from trunkline.testing.torture.applying import SERVICE, ApplicationTask, open_outbox
from trunkline.testing.torture.engines import Engine
from trunkline.testing.torture.players import ACTOR, Player
from trunkline.testing.torture.poison import Poisoner
from trunkline.testing.torture.publishing import TOPIC, PublisherTask
from trunkline.testing.torture.sabotage import Safeguard
from trunkline.testing.torture.schedule import Victim

GROUP: Final = "torture"
PARTITIONS: Final = 3
GROWN: Final = 6
"""Partitions after the growth in mid-run."""

CONSUMERS: Final = 3
PUBLISHERS: Final = 2
"""Besides, there is a service with an outbox, which counts as one more to be hurt."""

RELAYS: Final = 2
TENANTS_EACH: Final = 6
RATE: Final = 150.0
"""Events a second of each publisher: enough that every fault meets some, and little beside the machine."""

ANSWER_SECONDS: Final = 60.0
"""How long a cluster that has just started may take to answer."""


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


class Cast:
    """Everybody in a run, and what they leave behind. On the thread that opens it, until `close`."""

    def __init__(self, plan: Plan, engine: Engine) -> None:
        """Raises `TrunklineError` if not all of them could be started; none is left then."""
        self._plan = plan
        self._engine = engine
        self._open = ExitStack()
        self.connection: Final = ConnectionOptions(
            bootstrap_servers=engine.bootstrap_servers, client_id="torture"
        )
        self.store_file: Final = plan.directory / "store.db"
        self.full: Final = plan.directory / "full"
        """While this file is there, the consumers' store is full."""
        self._outbox_file = plan.directory / "outbox.db"
        with ExitStack() as undo:
            undo.callback(self.close)
            self._create_topic()
            self.store: Final = self._open.enter_context(closing(open_store(f"sqlite:///{self.store_file}")))
            migrate(self.store)
            self.outbox: Final = self._open.enter_context(closing(open_outbox(str(self._outbox_file))))
            self.began: Final = time.time()
            tenants = tuple(f"tenant-{number:02}" for number in range(PUBLISHERS * TENANTS_EACH))
            self.publishers: Final = self._make_publishers(tenants)
            self.relays: Final = [self._relay(number) for number in range(RELAYS)]
            self.consumers: Final = [self._consumer(number) for number in range(CONSUMERS)]
            self.guest: Final = self._consumer(CONSUMERS)
            """A consumer that now and then joins the group and leaves it."""
            self.grower: Final = self._process("grower", self._growing())
            self.poisoner: Final = Poisoner(engine.bootstrap_servers, TOPIC, tenants=tenants, seed=plan.seed)
            self._open.callback(self.poisoner.close)
            for player in self.crew:
                player.start()
            undo.pop_all()

    def close(self) -> None:
        """End everybody, at once."""
        self._open.close()

    @property
    def crew(self) -> Sequence[Player]:
        """Those that should run all the time."""
        return [*self.consumers, *self.publishers, *self.relays]

    def of(self, victim: Victim) -> Sequence[Player]:
        """The processes of a kind that can be hurt."""
        return {
            Victim.CONSUMER: self.consumers,
            Victim.PUBLISHER: self.publishers,
            Victim.RELAY: self.relays,
        }[victim]

    def journal_files(self) -> list[Path]:
        """What the publishers write down, by publisher."""
        return [self._journal_file(number) for number in range(PUBLISHERS)]

    def _create_topic(self) -> None:
        admin = Admin(admin_config(self.connection))
        _ready(admin)
        replicas = self._engine.replication_factor
        admin.create(
            TOPIC,
            partitions=PARTITIONS,
            replication_factor=replicas,
            config={"min.insync.replicas": str(min(2, replicas))},
        )

    def _make_publishers(self, tenants: tuple[str, ...]) -> list[Player]:
        application = ApplicationTask(
            store=str(self._outbox_file),
            tenants=tuple(f"order-{number}" for number in range(TENANTS_EACH)),
            until=self.began + self._plan.seconds,
        )
        return [
            *(
                self._player(f"publisher-{number}", "publisher", self._publisher_task(number, tenants))
                for number in range(PUBLISHERS)
            ),
            self._player("application", "application", application),
        ]

    def _publisher_task(self, number: int, tenants: tuple[str, ...]) -> PublisherTask:
        return PublisherTask(
            bootstrap_servers=self._engine.bootstrap_servers,
            number=number,
            journal=str(self._journal_file(number)),
            tenants=tenants[number::PUBLISHERS],
            rate=RATE,
            until=self.began + self._plan.seconds,
            seed=self._plan.seed,
            without=self._plan.without,
        )

    def _journal_file(self, number: int) -> Path:
        return self._plan.directory / f"publisher-{number}.journal"

    def _relay(self, number: int) -> Player:
        store = f"sqlite:///{self._outbox_file}"
        servers = self._engine.bootstrap_servers
        return self._process(
            f"relay-{number}",
            [*TRUNKLINE, "relay", "--service", SERVICE, "--store", store, "-b", servers],
        )

    def _consumer(self, number: int) -> Player:
        task = ConsumerTask(
            bootstrap_servers=self._engine.bootstrap_servers,
            group=GROUP,
            member=number,
            store=str(self.store_file),
            full=str(self.full),
            without=self._plan.without,
        )
        return self._player(f"consumer-{number}", "consumer", task)

    def _growing(self) -> list[str]:
        """The contract's own consumers of the topic do not run here."""
        unsafe = ["--unsafe"] if self._plan.without is Safeguard.FENCE else []
        strangers = load_catalogue().topic(TOPIC).consumers
        ignored = [option for group in strangers for option in ("--ignore-group", group)]
        servers = self._engine.bootstrap_servers
        return [
            *TRUNKLINE, "topics", "grow", TOPIC, "-n", str(GROWN), "-b", servers, "--json", *ignored, *unsafe
        ]  # fmt: skip

    def _player(self, name: str, role: str, task: msgspec.Struct) -> Player:
        return self._process(name, [*ACTOR, role, msgspec.json.encode(task).decode()])

    def _process(self, name: str, command: Sequence[str]) -> Player:
        player = Player(name, command, log=self._plan.directory / f"{name}.log")
        self._open.callback(player.kill)
        return player


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
