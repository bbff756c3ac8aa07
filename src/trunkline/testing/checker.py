"""Compares what was sent, what is in the log and what took effect, and says which promises held.

Pure: whoever observed the three sides (the demo, a fault run, a test) hands them over as values.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

EXAMPLES_MAX: Final = 5
"""A broken claim shows a few culprits; the counts tell the rest."""


class Identity(NamedTuple):
    """What makes an event that event: CloudEvents source and id, within a tenant."""

    tenant: str
    source: str
    id: str


class Position(NamedTuple):
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Sent:
    """An event given to a publisher, in the order given. `position` is None unless it was acknowledged."""

    topic: str
    identity: Identity
    position: Position | None


@dataclass(frozen=True, slots=True)
class Logged:
    """A record read back from the log. `key` is the record's Kafka key."""

    position: Position
    key: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class Effect:
    """An event that a consuming service recorded, in the order in which it took effect within its tenant."""

    position: Position
    identity: Identity


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise, whether it held, and the figures and first culprits behind the verdict."""

    name: str
    holds: bool
    detail: str
    examples: tuple[str, ...] = field(default=())


def reconcile(
    sent: Sequence[Sent],
    logged: Sequence[Logged],
    effects: Sequence[Effect],
    *,
    topics: Collection[str],
    effective_topics: Collection[str],
    others: Collection[str] = (),
) -> tuple[Claim, ...]:
    """Check every promise of delivery.

    `topics` are those that must carry events; `effective_topics` those whose events must take effect. `sent`
    must be in publishing order; `logged` may come in any order; `effects` in any order of topics and tenants,
    but each tenant's in the order in which they happened. `others` are the sources of events that were not
    sent here and may be in the log all the same: what services say of their own accord.
    """
    acknowledged = [event for event in sent if event.position is not None]
    in_order = sorted(logged, key=lambda record: record.position)
    expected = _first_times(record for record in in_order if record.position.topic in effective_topics)
    return (
        _every_topic_carries(logged, topics),
        _claim(
            "every published event was acknowledged",
            f"{len(acknowledged):,} of {len(sent):,}",
            (_name(event.topic, event.identity) for event in sent if event.position is None),
        ),
        _same_events(
            "every acknowledged event is in the log, at the position acknowledged, and nothing else is",
            ((event.position, event.identity) for event in acknowledged),
            ((record.position, record.identity) for record in logged if record.identity.source not in others),
        ),
        _once("no event is in the log twice", (record.identity for record in logged)),
        _claim(
            "every record's key is its tenant",
            f"{len(logged):,} records",
            (
                f"{_where(record.position)} has key {record.key!r}, tenant {record.identity.tenant!r}"
                for record in logged
                if record.key != record.identity.tenant
            ),
        ),
        _one_partition_a_tenant(logged),
        _in_order(
            "each tenant's events of a topic are in the log in the order published",
            ((event.topic, event.identity) for event in acknowledged),
            ((record.position.topic, record.identity) for record in in_order),
        ),
        _same_events(
            "every event in the log took effect, and nothing else did",
            ((record.position, record.identity) for record in expected),
            ((effect.position, effect.identity) for effect in effects),
        ),
        _once("no event took effect twice", (effect.identity for effect in effects)),
        _in_order(
            "each tenant's events of a topic took effect in the order of the log",
            ((record.position.topic, record.identity) for record in expected),
            ((effect.position.topic, effect.identity) for effect in effects),
        ),
    )


def _first_times(records: Iterable[Logged]) -> list[Logged]:
    """Without repetitions: an event that is in the log twice takes effect once, where it came first."""
    found: dict[Identity, Logged] = {}
    for record in records:
        found.setdefault(record.identity, record)
    return list(found.values())


def _every_topic_carries(logged: Iterable[Logged], topics: Collection[str]) -> Claim:
    carried = {record.position.topic for record in logged}
    return _claim(
        "every topic carries events",
        f"{len(carried & set(topics))} of {len(topics)} topics",
        (f"{topic} has none" for topic in topics if topic not in carried),
    )


Placed: TypeAlias = tuple[Position | None, Identity]


def _same_events(name: str, expected: Iterable[Placed], found: Iterable[Placed]) -> Claim:
    want, have = Counter(expected), Counter(found)
    missing = [f"missing: {_where(position)} {_who(identity)}" for position, identity in want - have]
    extra = [f"unexpected: {_where(position)} {_who(identity)}" for position, identity in have - want]
    return _claim(name, f"{want.total():,} expected, {have.total():,} found", [*missing, *extra])


def _once(name: str, identities: Iterable[Identity]) -> Claim:
    counts = Counter(identities)
    return _claim(
        name,
        f"{len(counts):,} distinct of {counts.total():,}",
        (f"{_who(identity)}: {count} times" for identity, count in counts.items() if count > 1),
    )


def _one_partition_a_tenant(logged: Iterable[Logged]) -> Claim:
    partitions: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for record in logged:
        partitions[record.position.topic, record.identity.tenant].add(record.position.partition)
    return _claim(
        "each tenant has one partition of a topic",
        f"{len(partitions):,} tenant and topic pairs",
        (
            f"{topic}: tenant {tenant} is on partitions {sorted(where)}"
            for (topic, tenant), where in partitions.items()
            if len(where) > 1
        ),
    )


def _in_order(
    name: str, published: Iterable[tuple[str, Identity]], observed: Iterable[tuple[str, Identity]]
) -> Claim:
    """Only order is judged here: an event missing or doubled on one side is another claim's business."""
    rank = {(topic, identity): index for index, (topic, identity) in enumerate(published)}
    latest: dict[tuple[str, str], int] = {}
    culprits: list[str] = []
    for topic, identity in observed:
        index = rank.get((topic, identity))
        if index is None:
            continue
        lane = (topic, identity.tenant)
        if index < latest.get(lane, -1):
            culprits.append(f"{_name(topic, identity)} comes after a later one")
        latest[lane] = max(index, latest.get(lane, -1))
    return _claim(name, f"{len(latest):,} tenant and topic pairs", culprits)


def _claim(name: str, detail: str, culprits: Iterable[str]) -> Claim:
    found = list(culprits)
    detail = f"{detail}; {len(found):,} wrong" if found else detail
    return Claim(name=name, holds=not found, detail=detail, examples=tuple(found[:EXAMPLES_MAX]))


def _where(position: Position | None) -> str:
    return "no position" if position is None else f"{position.topic}[{position.partition}]@{position.offset}"


def _who(identity: Identity) -> str:
    return f"{identity.tenant} {identity.source} {identity.id}"


def _name(topic: str, identity: Identity) -> str:
    return f"{topic} {_who(identity)}"
