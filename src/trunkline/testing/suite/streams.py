"""What topics may hold: events in every order that Kafka may give them, repeated, with poison among them."""

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.names import TenantId
from trunkline.client.kafka import partition_of
from trunkline.codec import Envelope, Record, encode
from trunkline.sources.workload import MeasuredQuery, workload

PARTITIONS: Final = 3
TENANTS: Final = tuple(TenantId(name) for name in ("acme", "globex", "initech", "umbrella"))
EVENTS: Final = 1_200
START: Final = datetime(2026, 10, 2, 7, tzinfo=UTC)
STEP: Final = timedelta(minutes=45)
"""Between two events: the stream takes some five weeks, and so crosses a month, weekends and nights."""

Part: TypeAlias = tuple[str, int]
"""Topic and partition."""

_PERSONAL: Final = frozenset({"admin_email", "cancelled_by", "grantee_id", "source_ip", "user_id"})
"""Fields whose value names a person."""

WORD_CHARS: Final = 5
"""A text that is shorter may be anywhere by chance."""

_TABLES: Final = ("customer", "lineitem", "orders", "supplier")

QUERIES: Final = tuple(
    MeasuredQuery(
        sql=f"FROM {table}",
        fingerprint=f"{number:064x}",
        tables=(f"urn:table:tpch.{table}",),
        duration_us=900 + 37 * number,
        cpu_us=700 + 31 * number,
        rows_returned=number,
        rows_scanned=1_000 * (number + 1),
        bytes_scanned=8_000 * (number + 1),
        error_code="binder_error" if number == len(_TABLES) - 1 else None,
        error="no such column" if number == len(_TABLES) - 1 else None,
    )
    for number, table in enumerate(_TABLES)
)
"""Executions that query events report; what DuckDB measures would differ from run to run."""


def clock(start: datetime = START, step: timedelta = STEP) -> Callable[[], datetime]:
    """A clock that moves by `step` each time somebody looks."""
    moments = (start + number * step for number in range(10**9))
    return lambda: next(moments)


def platform_events(seed: int, *, step: timedelta = STEP) -> list[Envelope[Event]]:
    """The life of a small platform, over all ten topics, an event every `step`."""
    stream = workload(seed, TENANTS, clock=clock(step=step), queries=QUERIES)
    return [produced.envelope for produced in islice(stream, EVENTS)]


def consumed(events: Iterable[Envelope[Event]], topics: Iterable[str]) -> list[Envelope[Event]]:
    """Those of these topics."""
    wanted = frozenset(topics)
    return [event for event in events if declaration_of(event.data).topic in wanted]


def people_of(events: Iterable[Envelope[Event]], tenant: str) -> frozenset[bytes]:
    """The names of people that the events of this tenant have, and are no part of any other's."""
    names: defaultdict[bool, set[bytes]] = defaultdict(set)
    for event in events:
        fields = msgspec.to_builtins(event.data)
        found = {str(fields[name]).encode() for name in _PERSONAL & fields.keys() if fields[name]}
        names[event.tenantid == tenant] |= found
    others = b"\0".join(names[False])
    return frozenset(name for name in names[True] if name not in others)


def words_of(events: Iterable[Envelope[Event]], tenant: str) -> frozenset[bytes]:
    """The texts that the events of this tenant have, and are no part of another's, nor of a field's name."""
    mine: set[str] = set()
    others: set[str] = {tenant}
    for event in events:
        fields = msgspec.to_builtins(event.data)
        others.update(_names(fields))
        (mine if event.tenantid == tenant else others).update(_texts(fields))
    said = "\0".join(others)
    return frozenset(text.encode() for text in mine if len(text) >= WORD_CHARS and text not in said)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _texts(member)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        yield from value if isinstance(value, dict) else ()
        for member in value.values() if isinstance(value, dict) else value:
            yield from _names(member)


def shuffled(events: Sequence[Envelope[Event]], rng: random.Random) -> list[Envelope[Event]]:
    """Another order that the topics' guarantee allows: each tenant's events of one topic stay in order."""
    lanes: defaultdict[tuple[str, str], list[Envelope[Event]]] = defaultdict(list)
    for event in events:
        lanes[declaration_of(event.data).topic, event.tenantid].append(event)
    order = [lane for lane, of_it in lanes.items() for _ in of_it]
    rng.shuffle(order)
    iterators = {lane: iter(of_it) for lane, of_it in lanes.items()}
    return [next(iterators[lane]) for lane in order]


def repeated(
    events: Sequence[Envelope[Event]], rng: random.Random, *, share: float = 0.2
) -> list[Envelope[Event]]:
    """Some of them come once more, anywhere behind their first time: a publisher that tried again."""
    again: defaultdict[int, list[Envelope[Event]]] = defaultdict(list)
    for number, event in enumerate(events):
        if rng.random() < share:
            again[rng.randrange(number, len(events))].append(event)
    return [late for number, event in enumerate(events) for late in (event, *again[number])]


def poison(topic: str, partition: int, offset: int) -> Record:
    """A record that is no event."""
    return Record(topic, partition, offset, 1, b"acme", b"{not json", (("ce_id", b"broken"),))


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition, as one poll gives them."""

    part: Part
    records: tuple[Record, ...]


def batches(
    events: Iterable[Envelope[Event]],
    rng: random.Random,
    *,
    size_max: int = 100,
    poisoned: Collection[tuple[str, int, int]] = (),
) -> Iterator[Batch]:
    """The events as batches of random sizes up to `size_max`, each partition's with offsets without gaps.

    `poisoned` are places, by topic, partition and offset, that a record which is no event takes.
    """
    waiting: defaultdict[Part, list[Record]] = defaultdict(list)
    ends: defaultdict[Part, int] = defaultdict(int)
    for event in events:
        encoded = encode(event)
        part: Part = (declaration_of(event.data).topic, partition_of(encoded.key, PARTITIONS))
        while (*part, ends[part]) in poisoned:
            waiting[part].append(poison(*part, ends[part]))
            ends[part] += 1
        timestamp = int(event.time.timestamp() * 1000)
        waiting[part].append(
            Record(*part, ends[part], timestamp, encoded.key, encoded.value, tuple(encoded.headers))
        )
        ends[part] += 1
        if len(waiting[part]) >= rng.randint(1, size_max):
            yield Batch(part, tuple(waiting.pop(part)))
    for part in sorted(waiting):
        yield Batch(part, tuple(waiting[part]))
