"""How fast governance takes in results of checks, and how soon an order is an active bundle elsewhere."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.policy import TOPIC
from trunkline.catalogue.events.quality import TOPIC as QUALITY_TOPIC
from trunkline.catalogue.events.quality import QualityCheckFailed, QualityCheckPassed
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.admin import ensure_topics
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX, Outbox, Relay
from trunkline.client.publisher import Publisher
from trunkline.client.reader import TopicReader
from trunkline.client.store import Store, migrate, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Record, decode, encode, new_envelope
from trunkline.services.governance.handler import GovernanceHandler
from trunkline.services.governance.orders import Draft, Order, publish, revoke
from trunkline.services.governance.rulebook import Rulebook
from trunkline.services.governance.tables import GOVERNANCE
from trunkline.services.kit.ending import ENDING
from trunkline.services.kit.settings import FixedSettings
from trunkline.services.policies.bundle import Bundles
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.bench.raw import LoadFailed
from trunkline.testing.processes import BrokerProcess

PART: Final = "governance"
SERVICE: Final = "governance-service"
TENANT: Final = TenantId("bench")
START: Final = datetime(2026, 11, 23, tzinfo=UTC)

RESULTS: Final = 20_000
BATCH: Final = 100
ASSETS: Final = 200
CHECKS: Final = 5
FAILING_ONE_IN: Final = 200

POLICIES: Final = 100
"""In the bundle that the orders change."""
ORDERS: Final = 200
DEADLINE_S: Final = 30.0

ORDER_P99_MS: Final = 250.0
"""Of the issue, for revoke to enforce, of which this is all but the last step."""

NOTES: Final = (
    f"governance: {RESULTS} results of {ASSETS * CHECKS} checks in batches of {BATCH} on SQLite, one in "
    f"{FAILING_ONE_IN} failing; an order changes one of {POLICIES} policies and is timed from its "
    "transaction's begin until a reader of the topic has activated the bundle",
)


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Results a second, and milliseconds from an order to an active bundle behind the topic."""
    rates = []
    for number in range(rounds):
        say(f"governance: results, round {number + 1} of {rounds}")
        with _store(directory / f"results-{number}") as (store, outbox):
            rates.append(_results_a_second(store, outbox))
    medians, slowest = [], []
    with BrokerProcess(directory / "broker") as broker, _store(directory / "orders") as (store, outbox):
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, load_catalogue(None), "development")
        with _relaying(store, connection) as relay, _following(connection) as seen:
            _order_many(store, outbox, relay, seen)
            for number in range(rounds):
                say(f"governance: orders, round {number + 1} of {rounds}")
                took = [_order(store, outbox, relay, seen, number=one) for one in range(ORDERS)]
                medians.append(percentile(took, 50))
                slowest.append(percentile(took, 99))
    return [
        figure(PART, "results of checks", samples=rates, unit="events/s", better="more"),
        figure(PART, "order to active bundle p50", samples=medians, unit="ms", better="less"),
        figure(
            PART,
            "order to active bundle p99",
            samples=slowest,
            unit="ms",
            better="less",
            target=ORDER_P99_MS,
        ),
    ]


class _Seen:
    """When a reader of the topic had activated which revision."""

    def __init__(self) -> None:
        self._bundles = Bundles(TENANT)
        self._times: dict[int, float] = {}
        self._changed = threading.Condition()

    def apply(self, record: Record) -> None:
        event = decode(record)
        if event.tenantid == TENANT and self._bundles.apply(event.data):
            with self._changed:
                self._times[self._bundles.active.revision] = time.perf_counter()
                self._changed.notify_all()

    def wait(self, revision: int) -> float:
        """When it was activated. Raises `LoadFailed` if it is not within the time."""
        with self._changed:
            if not self._changed.wait_for(lambda: revision in self._times, DEADLINE_S):
                why = self._bundles.incomplete or "nothing came"
                raise LoadFailed(f"revision {revision} was not activated within {DEADLINE_S:g} s: {why}")
            return self._times[revision]


@contextmanager
def _store(directory: Path) -> Iterator[tuple[Store, Outbox]]:
    directory.mkdir(parents=True, exist_ok=True)
    with closing(open_store(f"sqlite:///{directory / 'governance.db'}")) as store:
        migrate(store)
        for component in (OUTBOX, ENDING, GOVERNANCE):
            migrate(store, component)
        yield store, Outbox(service=SERVICE, catalogue=load_catalogue(None))


@contextmanager
def _relaying(store: Store, connection: ConnectionOptions) -> Iterator[Relay]:
    catalogue = load_catalogue(None)
    with Publisher(service=SERVICE, connection=connection, catalogue=catalogue) as publisher:
        relay = Relay(store, publisher)
        relay.start()
        try:
            yield relay
        finally:
            relay.stop()


@contextmanager
def _following(connection: ConnectionOptions) -> Iterator[_Seen]:
    seen = _Seen()
    with ExitStack() as ending, TopicReader(connection, TOPIC) as reader:

        def follow() -> None:
            for record in reader.following():
                seen.apply(record)

        thread = threading.Thread(target=follow, name="follower", daemon=True)
        thread.start()
        ending.callback(thread.join)
        ending.callback(reader.stop)
        yield seen
        ending.close()


def _order_many(store: Store, outbox: Outbox, relay: Relay, seen: _Seen) -> None:
    """The bundle that the others change; the first order also pays for the connections."""
    drafts = [_draft(f"p-{number}", "eu") for number in range(POLICIES)]
    with store.write() as tx:
        done = publish(tx, outbox, drafts, _who())
    relay.wake()
    seen.wait(done.revision)


def _order(store: Store, outbox: Outbox, relay: Relay, seen: _Seen, *, number: int) -> float:
    """Revoke a policy, or publish it again; the milliseconds until a reader has activated that."""
    policy_id = f"p-{number // 2 % POLICIES}"
    started = time.perf_counter()
    with store.write() as tx:
        if number % 2 == 0:
            done = revoke(tx, outbox, policy_id, _who())
        else:
            done = publish(tx, outbox, [_draft(policy_id, f"r{number}")], _who())
    relay.wake()
    return (seen.wait(done.revision) - started) * 1_000


def _results_a_second(store: Store, outbox: Outbox) -> float:
    handler = GovernanceHandler(outbox, Rulebook(FixedSettings()))
    processor = BatchProcessor(store, handler, breaker=Breaker(0), wall_ms=lambda: 1)
    lane = Lane(group=SERVICE, cluster_id="bench", topic=QUALITY_TOPIC, topic_id="1", partition=0)
    records = list(_records(random.Random(1)))  # noqa: S311 - the same stream in every run
    started = time.perf_counter()
    expected: int | None = None
    for first in range(0, len(records), BATCH):
        batch = records[first : first + BATCH]
        processor.process(lane, batch, expected=expected)
        expected = batch[-1].offset + 1
    return RESULTS / (time.perf_counter() - started)


def _records(rng: random.Random) -> Iterator[Record]:
    for offset in range(RESULTS):
        envelope = new_envelope(
            _result(rng),
            tenant=TENANT,
            source="/data-quality-service",
            time=START + timedelta(seconds=offset),
        )
        encoded = encode(envelope)
        yield Record(QUALITY_TOPIC, 0, offset, 1, encoded.key, encoded.value, tuple(encoded.headers))


def _result(rng: random.Random) -> Event:
    asset, check = f"urn:table:main.t{rng.randrange(ASSETS)}", f"chk-{rng.randrange(CHECKS)}"
    if rng.randrange(FAILING_ONE_IN) == 0:
        return QualityCheckFailed(check_id=check, asset=asset, dimension="validity", severity="error")
    return QualityCheckPassed(check_id=check, asset=asset, dimension="validity")


def _draft(policy_id: str, region: str) -> Draft:
    return Draft(
        policy_id=policy_id, kind="row_filter", scope="urn:table:main.orders", body=f"region = '{region}'"
    )


def _who() -> Order:
    return Order(tenant=TENANT, actor_id="bench", now=datetime.now(UTC))
