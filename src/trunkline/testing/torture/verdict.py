"""Holds what the publishers wrote down against the log, the effects and the failure ledger. Pure.

Four counts must be 0:

- `lost`: acknowledged but not in the log at that place, or in the log and never reached;
- `duplicated_effects`: took effect more than once, or the same record both took effect and failed;
- `reordered`: within a topic a tenant's event is in the log, or took effect, after a later one;
- `skipped_without_ledger`: the group's position is behind the record, and nothing says what became of it.

What an event's repetition in the log does to its order does not count: the first occurrence does. An event
that is in the ledger has left the order by the ledger's rules, so its effect, if a replay gives it one, is
not held against the order.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from trunkline.testing.checker import Effect, Identity, Logged, Position
from trunkline.testing.torture.journal import COMMITTED, DELIVERED, UNKNOWN, Entry, Intent, Settled

STORIES_MAX: Final = 5
"""Culprits of one count that are told in full."""

Course = tuple[str, str]
"""Topic and tenant: what has an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One record in the failure ledger; `open` until somebody has replayed or discarded it."""

    position: Position
    reason: str
    open: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a run left behind.

    `effects` is in the order in which they happened. `reached` is the offset behind the last record that the
    group has processed of each topic and partition.
    """

    journal: Sequence[Entry]
    log: Sequence[Logged]
    effects: Sequence[Effect]
    ledger: Sequence[LedgerRow]
    reached: Mapping[tuple[str, int], int]

    @cached_property
    def intents(self) -> dict[Identity, Intent]:
        """The first attempt of each event."""
        found: dict[Identity, Intent] = {}
        for entry in self.journal:
            if isinstance(entry, Intent):
                found.setdefault(Identity(entry.tenant, entry.source, entry.id), entry)
        return found

    @cached_property
    def settled(self) -> dict[str, list[Settled]]:
        """The ends of the attempts of each event, by its id, which torture makes unique."""
        found: defaultdict[str, list[Settled]] = defaultdict(list)
        for entry in self.journal:
            if isinstance(entry, Settled):
                found[entry.id].append(entry)
        return dict(found)

    @cached_property
    def occurrences(self) -> dict[Identity, list[Position]]:
        """Where each event is in the log."""
        found: defaultdict[Identity, list[Position]] = defaultdict(list)
        for record in sorted(self.log, key=lambda record: record.position):
            found[record.identity].append(record.position)
        return dict(found)


@dataclass(frozen=True, slots=True)
class Culprit:
    """What was found wrong, about which event, if it is one of the publishers'."""

    count: str
    identity: Identity
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The four counts, what else a run must be free of, and who broke them."""

    lost: int
    duplicated_effects: int
    reordered: int
    skipped_without_ledger: int
    unresolved: int
    """Events that the publishers never had acknowledged, however often they were sent."""

    strangers: int
    """Effects of events that nobody meant to publish."""

    culprits: tuple[Culprit, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Every promise was kept."""
        return not self.culprits


def judge(evidence: Evidence) -> Verdict:
    """Find everything that breaks a promise."""
    culprits = [
        *_not_in_log(evidence),
        *_without_fate(evidence),
        *_twice(evidence),
        *_log_reordered(evidence),
        *_effects_reordered(evidence),
        *_unresolved(evidence),
        *_strangers(evidence),
    ]
    counts = Counter(culprit.count for culprit in culprits)
    return Verdict(
        lost=counts["lost"],
        duplicated_effects=counts["duplicated_effects"],
        reordered=counts["reordered"],
        skipped_without_ledger=counts["skipped_without_ledger"],
        unresolved=counts["unresolved"],
        strangers=counts["strangers"],
        culprits=tuple(culprits),
    )


def _not_in_log(evidence: Evidence) -> Iterable[Culprit]:
    for identity, intent in evidence.intents.items():
        there = evidence.occurrences.get(identity, [])
        for attempt in evidence.settled.get(intent.id, []):
            position = Position(intent.topic, attempt.partition, attempt.offset)
            if attempt.outcome == DELIVERED and position not in there:
                yield Culprit("lost", identity, f"acknowledged at {_place(position)}, which holds another")
            elif attempt.outcome == COMMITTED and not there:
                yield Culprit("lost", identity, "is committed in an outbox, but not in the log")


def _without_fate(evidence: Evidence) -> Iterable[Culprit]:
    """Records that neither took effect nor are in the ledger, themselves or as another occurrence."""
    known = {effect.identity for effect in evidence.effects}
    in_ledger = {row.position for row in evidence.ledger}
    known.update(
        record.identity for record in evidence.log if record.position in in_ledger and any(record.identity)
    )
    for record in evidence.log:
        if record.identity in known or record.position in in_ledger:
            continue
        topic, partition, offset = record.position
        if evidence.reached.get((topic, partition), 0) > offset:
            yield Culprit("skipped_without_ledger", record.identity, f"{_place(record.position)} was skipped")
        else:
            yield Culprit("lost", record.identity, f"{_place(record.position)} was never reached")


def _twice(evidence: Evidence) -> Iterable[Culprit]:
    for identity, number in Counter(effect.identity for effect in evidence.effects).items():
        if number > 1:
            yield Culprit("duplicated_effects", identity, f"took effect {number} times")
    failed = {row.position for row in evidence.ledger if row.open}
    for effect in evidence.effects:
        if effect.position in failed:
            what = f"{_place(effect.position)} took effect and is an open failure as well"
            yield Culprit("duplicated_effects", effect.identity, what)


def _log_reordered(evidence: Evidence) -> Iterable[Culprit]:
    """Within a partition by offset; where growth has moved a tenant, the newer partition goes on behind."""
    placed: defaultdict[Course, defaultdict[int, list[tuple[int, Identity]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for identity, positions in evidence.occurrences.items():
        intent = evidence.intents.get(identity)
        first: dict[int, Position] = {}
        for position in positions:
            first.setdefault(position.partition, position)
        # A repetition may land behind growth, where its first occurrence lies before it.
        earliest = min(first.values(), default=None)
        if intent is not None and earliest is not None:
            placed[intent.topic, intent.tenant][earliest.partition].append((earliest.offset, identity))
    for partitions in placed.values():
        lines = [
            [identity for _, identity in sorted(partitions[number])]
            for number in sorted(partitions)  # Growth moves a tenant only to a partition of a higher number.
        ]
        yield from _descending(evidence, [identity for line in lines for identity in line], "is in the log")


def _effects_reordered(evidence: Evidence) -> Iterable[Culprit]:
    positions = {row.position for row in evidence.ledger}
    failed = {record.identity for record in evidence.log if record.position in positions}
    lines: defaultdict[Course, list[Identity]] = defaultdict(list)
    for effect in evidence.effects:
        intent = evidence.intents.get(effect.identity)
        if intent is not None and effect.identity not in failed:
            lines[intent.topic, intent.tenant].append(effect.identity)
    for line in lines.values():
        yield from _descending(evidence, line, "took effect")


def _descending(evidence: Evidence, line: Sequence[Identity], verb: str) -> Iterable[Culprit]:
    """Whoever comes after one with a higher number; a repetition is another count's business."""
    highest, seen = 0, set[Identity]()
    for identity in line:
        number = evidence.intents[identity].sequence
        if number < highest and identity not in seen:
            yield Culprit("reordered", identity, f"number {number} {verb} after number {highest}")
        highest = max(highest, number)
        seen.add(identity)


def _unresolved(evidence: Evidence) -> Iterable[Culprit]:
    for identity, intent in evidence.intents.items():
        ends = evidence.settled.get(intent.id, [])
        if not any(end.outcome in {DELIVERED, COMMITTED} for end in ends):
            yield Culprit("unresolved", identity, "was never acknowledged")


def _strangers(evidence: Evidence) -> Iterable[Culprit]:
    for effect in evidence.effects:
        if effect.identity not in evidence.intents:
            yield Culprit("strangers", effect.identity, f"{_place(effect.position)} is nobody's event")


def unknown_outcomes(evidence: Evidence) -> int:
    """Events that were of unknown outcome at least once."""
    attempts = evidence.settled.values()
    return sum(any(attempt.outcome == UNKNOWN for attempt in ends) for ends in attempts)


def story(evidence: Evidence, culprit: Culprit) -> tuple[str, ...]:
    """All that is known about a culprit: published, answered, where it is, what became of it."""
    identity = culprit.identity
    lines = [f"{culprit.count}: {identity.tenant} {identity.id}: {culprit.what}"]
    for entry in evidence.journal:
        if isinstance(entry, Intent) and entry.id == identity.id:
            lines.append(f"  {entry.at:.3f} published as number {entry.sequence} ({entry.subject})")
        elif isinstance(entry, Settled) and entry.id == identity.id:
            place = (
                f" at {entry.partition}@{entry.offset}"
                if entry.outcome == DELIVERED
                else f" ({entry.detail})"
            )
            lines.append(f"  {entry.at:.3f} {entry.outcome}{place}")
    rows = {row.position: row for row in evidence.ledger}
    for position in evidence.occurrences.get(identity, []):
        row = rows.get(position)
        ledger = f", in the ledger as {row.reason}" if row is not None else ""
        lines.append(f"  in the log at {_place(position)}{ledger}")
    numbers = [number for number, effect in enumerate(evidence.effects) if effect.identity == identity]
    lines.append(f"  effects: {', '.join(f'no. {number}' for number in numbers) or 'none'}")
    return tuple(lines)


def _place(position: Position) -> str:
    return f"{position.topic}[{position.partition}]@{position.offset}"
