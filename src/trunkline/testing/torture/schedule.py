"""Which fault strikes when: a pure function of the seed, the length and what the engine can suffer.

Faults of different victims overlap. Those of one victim do not, and each leaves it time to recover, so that
a run is always able to make progress: of the brokers at most one is hurt at a time.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

HEAD_SECONDS: Final = 3.0
"""Without faults at the beginning: the group forms and the first events flow."""

TAIL_SECONDS: Final = 3.0
"""No fault begins in the last seconds; what has begun is over soon after."""

FAULT_EVERY_SECONDS: Final = 2.2
"""The mean distance of two faults, unless more are asked for."""

SESSION_SECONDS: Final = 6.0
"""The members' session time-out: a member paused for longer wakes as a zombie."""


class Victim(StrEnum):
    """What a fault strikes. Two faults never strike the same victim at once."""

    BROKER = "broker"
    CONSUMER = "consumer"
    PUBLISHER = "publisher"
    RELAY = "relay"
    STORE = "store"
    GROUP = "group"
    LOG = "log"
    TOPIC = "topic"


class Kind(StrEnum):
    """What can happen."""

    KILL_BROKER = "kill_broker"
    RESTART_BROKER = "restart_broker"
    PAUSE_BROKER = "pause_broker"
    CUT_BROKER = "cut_broker"
    SWALLOW_BROKER = "swallow_broker"
    DELAY_BROKER = "delay_broker"
    FILL_BROKER_DISK = "fill_broker_disk"
    MOVE_LEADERS = "move_leaders"
    KILL_CONSUMER = "kill_consumer"
    PAUSE_CONSUMER = "pause_consumer"
    ZOMBIE_CONSUMER = "zombie_consumer"
    KILL_PUBLISHER = "kill_publisher"
    PAUSE_PUBLISHER = "pause_publisher"
    KILL_RELAY = "kill_relay"
    PAUSE_RELAY = "pause_relay"
    LOCK_STORE = "lock_store"
    FILL_STORE = "fill_store"
    MEMBER_JOINS = "member_joins"
    POISON = "poison"
    GROW_TOPIC = "grow_topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """How a kind of fault behaves: whom it strikes, how often, for how long, and the rest it needs after."""

    victim: Victim
    weight: float
    seconds: tuple[float, float] = (0.0, 0.0)
    recovery_seconds: float = 0.5


NATURES: Final[Mapping[Kind, Nature]] = MappingProxyType(
    {
        Kind.KILL_BROKER: Nature(victim=Victim.BROKER, weight=4, seconds=(0.2, 3), recovery_seconds=3),
        Kind.RESTART_BROKER: Nature(victim=Victim.BROKER, weight=2, seconds=(0.2, 2), recovery_seconds=3),
        Kind.PAUSE_BROKER: Nature(victim=Victim.BROKER, weight=2, seconds=(0.5, 5), recovery_seconds=1),
        Kind.CUT_BROKER: Nature(victim=Victim.BROKER, weight=3, seconds=(0.3, 5), recovery_seconds=1),
        Kind.SWALLOW_BROKER: Nature(victim=Victim.BROKER, weight=2, seconds=(0.3, 8), recovery_seconds=1),
        Kind.DELAY_BROKER: Nature(victim=Victim.BROKER, weight=2, seconds=(1, 5), recovery_seconds=1),
        Kind.FILL_BROKER_DISK: Nature(victim=Victim.BROKER, weight=2, seconds=(0.5, 3), recovery_seconds=2),
        Kind.MOVE_LEADERS: Nature(victim=Victim.BROKER, weight=2, recovery_seconds=1),
        Kind.KILL_CONSUMER: Nature(victim=Victim.CONSUMER, weight=4, seconds=(0, 3), recovery_seconds=2),
        Kind.PAUSE_CONSUMER: Nature(victim=Victim.CONSUMER, weight=2, seconds=(0.5, 4)),
        Kind.ZOMBIE_CONSUMER: Nature(
            victim=Victim.CONSUMER,
            weight=3,
            seconds=(SESSION_SECONDS + 1, SESSION_SECONDS + 4),
            recovery_seconds=2,
        ),
        Kind.KILL_PUBLISHER: Nature(victim=Victim.PUBLISHER, weight=4, seconds=(0, 2), recovery_seconds=2),
        Kind.PAUSE_PUBLISHER: Nature(victim=Victim.PUBLISHER, weight=1, seconds=(0.5, 5)),
        Kind.KILL_RELAY: Nature(victim=Victim.RELAY, weight=3, seconds=(0, 2), recovery_seconds=2),
        Kind.PAUSE_RELAY: Nature(victim=Victim.RELAY, weight=2, seconds=(1, 14)),
        Kind.LOCK_STORE: Nature(victim=Victim.STORE, weight=2, seconds=(0.5, 5), recovery_seconds=2),
        Kind.FILL_STORE: Nature(victim=Victim.STORE, weight=2, seconds=(0.5, 3), recovery_seconds=2),
        Kind.MEMBER_JOINS: Nature(victim=Victim.GROUP, weight=2, seconds=(3, 8), recovery_seconds=2),
        Kind.POISON: Nature(victim=Victim.LOG, weight=3, recovery_seconds=0),
        Kind.GROW_TOPIC: Nature(victim=Victim.TOPIC, weight=0, seconds=(0, 0)),
    }
)
"""Growth is not drawn: it happens once, in the middle."""

ONE_OF_A_KIND: Final = frozenset({Victim.STORE, Victim.GROUP, Victim.LOG, Victim.TOPIC})


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What there is to be hurt: the number of each victim, and the kinds this engine can suffer."""

    kinds: frozenset[Kind]
    brokers: int = 1
    consumers: int = 3
    publishers: int = 2
    relays: int = 2

    def number(self, victim: Victim) -> int:
        """How many of this victim there are."""
        if victim in ONE_OF_A_KIND:
            return 1
        return {
            Victim.BROKER: self.brokers,
            Victim.CONSUMER: self.consumers,
            Victim.PUBLISHER: self.publishers,
            Victim.RELAY: self.relays,
        }[victim]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: `at` seconds after the start the `target`-th victim is hurt, for so many `seconds`."""

    at: float
    kind: Kind
    target: int
    seconds: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.2f} s {self.kind} {self.target}{lasting}"


def draw(seed: int, *, seconds: float, abilities: Abilities, faults_min: int = 0) -> tuple[Fault, ...]:
    """The faults of a run, by time. There are at least `faults_min`, however short the run is."""
    chance = random.Random(seed)  # noqa: S311 - it has to be the same for the same seed
    window = max(seconds - HEAD_SECONDS - TAIL_SECONDS, 1.0)
    number = max(round(window / FAULT_EVERY_SECONDS), faults_min)
    free_from: dict[tuple[Victim, int], float] = {}
    faults: list[Fault] = []
    for index in range(number):
        at = HEAD_SECONDS + window * (index + chance.random()) / number
        fault = _draw_one(chance, at, abilities, free_from)
        if fault is not None:
            faults.append(fault)
    if Kind.GROW_TOPIC in abilities.kinds:
        faults.append(Fault(at=seconds / 2, kind=Kind.GROW_TOPIC, target=0, seconds=0))
    return tuple(sorted(faults, key=lambda fault: fault.at))


def _draw_one(
    chance: random.Random, at: float, abilities: Abilities, free_from: dict[tuple[Victim, int], float]
) -> Fault | None:
    choices = [
        (kind, target)
        for kind in Kind
        if kind in abilities.kinds and NATURES[kind].weight
        for target in range(abilities.number(NATURES[kind].victim))
        if free_from.get(_lock(kind, target), 0.0) <= at
    ]
    if not choices:
        return None
    weights = [NATURES[kind].weight / abilities.number(NATURES[kind].victim) for kind, _ in choices]
    kind, target = chance.choices(choices, weights)[0]
    nature = NATURES[kind]
    seconds = round(chance.uniform(*nature.seconds), 2)
    free_from[_lock(kind, target)] = at + seconds + nature.recovery_seconds
    return Fault(at=round(at, 2), kind=kind, target=target, seconds=seconds)


def _lock(kind: Kind, target: int) -> tuple[Victim, int]:
    """What must be free: all brokers together, or else this one victim."""
    victim = NATURES[kind].victim
    return (victim, 0 if victim is Victim.BROKER else target)
