"""A publisher under torture: writes down what it is going to do, does it, and writes down what came of it.

An event without a good outcome is published again with its id before any later event of its tenant, also by
the process that follows a killed one.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, ProducerOptions
from trunkline.client.delivery import Delivered, Delivery, Outcome
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown
from trunkline.client.publisher import Publisher
from trunkline.codec import Envelope
from trunkline.errors import TrunklineError
from trunkline.testing.torture import journal
from trunkline.testing.torture.effects import CONTESTED, REFUSED, STEADY
from trunkline.testing.torture.journal import Intent, Journal, Settled
from trunkline.testing.torture.sabotage import Safeguard

TOPIC: Final = declaration_of(AgentTokensUsed).topic
WINDOW: Final = 8
"""Events of one tenant that are handed over before the first is acknowledged, as a busy service does."""
PAUSE_SECONDS: Final = 0.005
RETRY_SECONDS: Final = 0.2
REFUSED_ONE_IN: Final = 211
CONTESTED_ONE_IN: Final = 97


class PublisherTask(msgspec.Struct, frozen=True, kw_only=True):
    """Publish events of these tenants until `until` (Unix seconds), then only what is open.

    `rate` is in events a second over all its tenants.
    """

    bootstrap_servers: str
    number: int
    journal: str
    tenants: tuple[str, ...]
    rate: float
    until: float
    seed: int
    delivery_timeout_ms: int = 20_000
    without: Safeguard | None = None


@dataclass(slots=True)
class _Attempt:
    """An event that is under way: the latest sending, or why it could not be sent."""

    intent: Intent
    told: Delivery | TrunklineError

    @property
    def outcome(self) -> Outcome | TrunklineError | None:
        return self.told.outcome if isinstance(self.told, Delivery) else self.told


@dataclass(slots=True)
class _Lane:
    """One tenant: the group of events under way, in order, and when it goes on."""

    tenant: str
    sequence: int
    group: list[_Attempt] = field(default_factory=list)
    due: float = 0.0


class TorturedPublisher:
    """The publisher of one process; `run` returns when everything is acknowledged after the end."""

    def __init__(
        self, task: PublisherTask, publisher: Publisher, *, clock: Callable[[], float] = time.time
    ) -> None:
        path = Path(task.journal)
        known = journal.recover(journal.read(path))
        self._task = task
        self._publisher = publisher
        self._clock = clock
        self._journal = Journal(path)
        self._lanes = []
        for tenant in task.tenants:
            course = known.get(tenant, journal.Course())
            # What a killed process left open goes first, as if it had just failed.
            left = [_Attempt(intent, _TO_SEND) for intent in course.open]
            self._lanes.append(_Lane(tenant, course.sequence, left))
        self._step = WINDOW * len(task.tenants) / task.rate

    def run(self, stop: threading.Event) -> None:
        """Publish until the end of the task, or `stop`."""
        while not stop.is_set():
            now = self._clock()
            entries: list[journal.Entry] = []
            sending: list[_Attempt] = []
            for lane in self._lanes:
                entries += self._settle(lane, now)
                if lane.due <= now:
                    sending += self._next(lane, now)
            if now >= self._task.until and not any(lane.group for lane in self._lanes):
                self._journal.write(entries)
                return
            self._journal.write([*entries, *(attempt.intent for attempt in sending)])
            for attempt in sending:
                attempt.told = self._publish(attempt.intent)
            stop.wait(PAUSE_SECONDS)

    def _settle(self, lane: _Lane, now: float) -> list[Settled]:
        """The ends of a group's attempts. What failed is sent again a little later; a group ends as one."""
        ends = []
        for attempt in lane.group:
            outcome = attempt.outcome
            if outcome is None or outcome is _TO_SEND or outcome is _WRITTEN:
                continue
            ends.append(_settled(attempt.intent, outcome, now))
            if isinstance(outcome, Delivered):
                attempt.told = _WRITTEN
            else:
                attempt.told = _TO_SEND
                lane.due = now + RETRY_SECONDS
        if all(attempt.told is _WRITTEN for attempt in lane.group):
            lane.group = []
        return ends

    def _next(self, lane: _Lane, now: float) -> list[_Attempt]:
        """What failed of the group, in order, while the rest of it waits behind; or a new group."""
        failed = [attempt for attempt in lane.group if attempt.told is _TO_SEND]
        if lane.group or now >= self._task.until:
            return failed
        lane.due = max(lane.due + self._step, now)
        for _ in range(WINDOW):
            lane.sequence += 1
            lane.group.append(_Attempt(self._intent(lane.tenant, lane.sequence, now), _TO_SEND))
        return lane.group[:]

    def _intent(self, tenant: str, sequence: int, now: float) -> Intent:
        chance = random.Random(f"{self._task.seed} {tenant} {sequence}")  # noqa: S311 - the same for the seed
        subject = STEADY
        if chance.randrange(REFUSED_ONE_IN) == 0:
            subject = REFUSED
        elif chance.randrange(CONTESTED_ONE_IN) == 0:
            subject = CONTESTED
        return Intent(
            topic=TOPIC,
            tenant=tenant,
            source=self._publisher.source,
            id=f"{tenant}-{sequence:07}",
            sequence=sequence,
            subject=subject,
            at=now,
        )

    def _publish(self, intent: Intent) -> Delivery | TrunklineError:
        try:
            return self._publisher.publish_envelope(envelope_of(intent, self._publisher))
        except TrunklineError as error:
            return error


_TO_SEND: Final = TrunklineError("to be sent, perhaps again")
_WRITTEN: Final = TrunklineError("delivered, and written down")


def envelope_of(intent: Intent, publisher: Publisher) -> Envelope[Event]:
    """The event of an intent: equal for equal intents, so that a repetition is one."""
    data = AgentTokensUsed(
        run_id=f"run-{intent.tenant}",
        agent_id="torture",
        provider="in_house",
        model="torture",
        input_tokens=intent.sequence,
        output_tokens=0,
    )
    return publisher.new_envelope(
        data,
        tenant=intent.tenant,
        id=intent.id,
        time=datetime.fromtimestamp(intent.at, UTC),
        subject=intent.subject,
    )


def open_publisher(bootstrap_servers: str, *, client_id: str, delivery_timeout_ms: int) -> Publisher:
    """The publisher of the service that owns the topic."""
    catalogue = load_catalogue()
    return Publisher(
        service=catalogue.topic(TOPIC).publisher,
        connection=ConnectionOptions(bootstrap_servers=bootstrap_servers, client_id=client_id),
        catalogue=catalogue,
        options=ProducerOptions(delivery_timeout_ms=delivery_timeout_ms),
    )


def _settled(intent: Intent, outcome: Outcome | TrunklineError | None, now: float) -> Settled:
    if isinstance(outcome, Delivered):
        return Settled(
            id=intent.id,
            outcome=journal.DELIVERED,
            at=now,
            partition=outcome.partition,
            offset=outcome.offset,
        )
    # What `publish` itself refused was not sent; only an outcome may leave it open whether it was.
    kind = journal.UNKNOWN if isinstance(outcome, DeliveryUnknown) else journal.REJECTED
    code = f"{outcome.code}: " if isinstance(outcome, DeliveryRejected) else ""
    return Settled(id=intent.id, outcome=kind, at=now, detail=f"{code}{outcome}")
