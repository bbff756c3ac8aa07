"""`trunkline.testing.torture.sabotage`: without any one safeguard the same story ends with a broken promise.

Each story is told twice to the real batch processor and the real store: as the product is, where the verdict
acquits, and without the safeguard, where it must not.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.lanes import Lanes
from trunkline.client.store import Store, dedupe, failures, migrate, open_store, position
from trunkline.client.store.position import Fenced, Lane
from trunkline.codec import Record, encode, new_envelope
from trunkline.testing.checker import Identity, Logged, Position
from trunkline.testing.torture.effects import (
    CONTESTED,
    STEADY,
    EffectHandler,
    read_effects,
    read_ledger,
    read_reached,
)
from trunkline.testing.torture.journal import DELIVERED, Entry, Intent, Settled
from trunkline.testing.torture.publishing import TOPIC
from trunkline.testing.torture.sabotage import Safeguard, take_away
from trunkline.testing.torture.verdict import Evidence, Verdict, judge

LANE = Lane(group="torture", cluster_id="c", topic=TOPIC, topic_id="t", partition=0)


@dataclass
class Partition:
    """One partition: what was published to it, and the members that read it."""

    store: Store
    records: list[Record] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)

    def publish(self, number: int, subject: str = STEADY) -> None:
        """Event `number` of the tenant lands, perhaps once more."""
        event = AgentTokensUsed(
            run_id="r", agent_id="a", provider="p", model="m", input_tokens=number, output_tokens=0
        )
        envelope = new_envelope(
            event,
            tenant=TenantId("acme"),
            source="/ai",
            id=f"acme-{number}",
            time=datetime(2026, 11, 23, tzinfo=UTC),
            subject=subject,
        )
        encoded = encode(envelope)
        offset = len(self.records)
        self.journal += [
            Intent(
                topic=TOPIC,
                tenant="acme",
                source="/ai",
                id=envelope.id,
                sequence=number,
                subject=subject,
                at=float(number),
            ),
            Settled(id=envelope.id, outcome=DELIVERED, at=float(number), partition=0, offset=offset),
        ]
        self._append(encoded.key, encoded.value, tuple(encoded.headers))

    def poison(self) -> None:
        """A record that nobody can read lands."""
        self._append(b"acme", b"\xff", ())

    def consume(self, member: int, begin: int, end: int, *, expected: int | None) -> None:
        """A member applies these records as one batch, from a position that it believes to hold."""
        handler = EffectHandler(self.store, member=member)
        processor = BatchProcessor(self.store, handler, breaker=Breaker(), wall_ms=lambda: 0)
        processor.process(LANE, self.records[begin:end], expected=expected)

    def verdict(self) -> Verdict:
        """What the judge makes of it."""
        return judge(
            Evidence(
                journal=self.journal,
                log=[
                    Logged(Position(TOPIC, 0, record.offset), "acme", _identity(record))
                    for record in self.records
                ],
                effects=read_effects(self.store)[0],
                ledger=read_ledger(self.store, LANE.group),
                reached=read_reached(self.store, LANE.group),
            )
        )

    def _append(self, key: bytes, value: bytes, headers: tuple[tuple[str, bytes | None], ...]) -> None:
        self.records.append(
            Record(
                topic=TOPIC,
                partition=0,
                offset=len(self.records),
                timestamp_ms=0,
                key=key,
                value=value,
                headers=headers,
            )
        )


def _identity(record: Record) -> Identity:
    found = {name: (value or b"").decode() for name, value in record.headers}
    return Identity(found.get("ce_tenantid", ""), found.get("ce_source", ""), found.get("ce_id", ""))


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[Partition]:
    with closing(open_store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        migrate(store)
        yield Partition(store)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[Safeguard], None]:
    """Takes a safeguard away until the end of the test."""
    monkeypatch.setattr(Lanes, "_hold", Lanes._hold)
    monkeypatch.setattr(dedupe, "sift", dedupe.sift)
    monkeypatch.setattr(dedupe, "claim", dedupe.claim)
    monkeypatch.setattr(dedupe, "remember", dedupe.remember)
    monkeypatch.setattr(position, "advance", position.advance)
    monkeypatch.setattr(failures, "add", failures.add)
    return take_away


def an_event_is_published_again(partition: Partition) -> None:
    """Its first sending had no answer; both landed."""
    partition.publish(1)
    partition.publish(1)
    partition.consume(0, 0, 1, expected=None)
    partition.consume(0, 1, 2, expected=1)


def a_zombie_wakes(partition: Partition) -> None:
    """Member 0 was paused with both in hand; member 1, which cannot handle the first, took over."""
    partition.publish(1, CONTESTED)
    partition.publish(2)
    partition.consume(1, 0, 2, expected=None)
    with suppress(Fenced):
        partition.consume(0, 0, 2, expected=None)


@dataclass(eq=False)
class Sending:
    """An event in the publisher's lanes."""

    number: int
    event_id: str
    lane: tuple[str, str] = (TOPIC, "acme")
    size: int = 1
    at: float = 0.0
    partition: int = -1


def a_broker_takes_no_more_retries(partition: Partition) -> None:
    """The first event of three fails for good; the service publishes it again a second later."""
    lanes: Lanes[Sending, None] = Lanes(
        place=lambda _tenant, _count: 0, timeout_seconds=60, lease_seconds=60, run_events=9, run_bytes=9
    )
    lanes.lease(TOPIC, 1, 0.0)

    def send(number: int) -> None:
        lanes.add(Sending(number, f"acme-{number}"))

    def land(now: float) -> None:
        while taken := lanes.take(now, events_max=9).singles:
            for event in taken:
                partition.publish(event.number)
            lanes.delivered([(event, None) for event in taken], now)

    for number in (1, 2, 3):
        send(number)
    (first,) = lanes.take(0.0, events_max=9).singles
    lanes.failed(first, 0.0)
    land(0.5)
    send(1)
    land(1.0)
    partition.consume(0, 0, 3, expected=None)


def poison_lands(partition: Partition) -> None:
    partition.publish(1)
    partition.poison()
    partition.publish(2)
    partition.consume(0, 0, 3, expected=None)


STORIES = {
    Safeguard.LANE: (a_broker_takes_no_more_retries, "reordered"),
    Safeguard.DEDUPE: (an_event_is_published_again, "duplicated_effects"),
    Safeguard.POSITION: (a_zombie_wakes, "duplicated_effects"),
    Safeguard.LEDGER: (poison_lands, "skipped_without_ledger"),
}


@pytest.mark.parametrize("safeguard", STORIES)
def test_with_the_safeguard_every_promise_is_kept(safeguard: Safeguard, partition: Partition) -> None:
    tell, _ = STORIES[safeguard]
    tell(partition)
    assert partition.verdict().culprits == ()


@pytest.mark.parametrize("safeguard", STORIES)
def test_without_the_safeguard_a_promise_is_broken(
    safeguard: Safeguard, partition: Partition, without: Callable[[Safeguard], None]
) -> None:
    tell, count = STORIES[safeguard]
    without(safeguard)
    tell(partition)
    assert getattr(partition.verdict(), count) > 0
