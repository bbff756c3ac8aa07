"""How many events a second billing counts durably, and how long a question about usage takes."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.events.agent import AgentTokensUsed
from trunkline.catalogue.events.query import QueryCompleted
from trunkline.catalogue.events.tenant import TenantCreated
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.store import Store, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Record, encode_checked, new_envelope
from trunkline.services.app import Context
from trunkline.services.billing import queries
from trunkline.services.billing.app import build
from trunkline.services.billing.books import Books, read_meters
from trunkline.services.billing.state import state_digest
from trunkline.services.billing.terms import DEFAULT
from trunkline.testing import postgres
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.postgres import PostgresServer
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import context_of

PART: Final = "billing"
SERVICE: Final = "billing-service"
TENANTS: Final = 20
EVENTS: Final = 20_000
BATCH: Final = 100
"""As many as one poll gives."""

QUESTIONS: Final = 500
EVENTS_PER_S_MIN: Final = 15_000
QUESTION_MS_MAX: Final = 5.0
FINGERPRINT: Final = "0" * 64
BEGIN: Final = datetime(2026, 11, 2, tzinfo=UTC)

NOTES: Final = (
    f"billing: {EVENTS} events of {TENANTS} tenants in batches of {BATCH}, each a durable transaction with "
    "decoding, dedupe, facts, numbers and limits: queries (four meters) or tokens (three meters, two of them "
    "by model); then what a tenant has used, against its limits",
)


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Events a second of each kind on each kind of database; PostgreSQL only where it is installed."""
    figures: list[Figure] = []
    directory.mkdir(parents=True, exist_ok=True)
    for kind in ("sqlite", "postgresql"):
        missing = postgres.why_missing() if kind == "postgresql" else None
        if missing is not None:
            say(f"billing: {missing}")
            continue
        say(f"billing on {kind}")
        samples: dict[str, list[float]] = {"queries": [], "tokens": []}
        questions: list[float] = []
        with _databases(kind, directory) as new_url:
            for number in range(rounds):
                with _service(new_url(number), directory / f"{kind}-{number}") as (context, processor):
                    _feed(processor, [_created(tenant) for tenant in range(TENANTS)])
                    samples["queries"].append(_rate(processor, [_query(n) for n in range(EVENTS)]))
                    samples["tokens"].append(_rate(processor, [_tokens(n) for n in range(EVENTS)]))
                    questions.append(percentile(_questions(context), 99))
        # The promise is for SQLite: one file, one process.
        promised = kind == "sqlite"
        for name, found in samples.items():
            figures.append(
                figure(
                    PART,
                    f"{name}, {kind}",
                    samples=found,
                    unit="events/s",
                    better="more",
                    target=EVENTS_PER_S_MIN if promised else None,
                )
            )
        figures.append(
            figure(
                PART,
                f"usage against limits, p99, {kind}",
                samples=questions,
                unit="ms",
                better="less",
                target=QUESTION_MS_MAX if promised else None,
            )
        )
    return figures


@contextmanager
def _databases(kind: str, directory: Path) -> Iterator[Callable[[int], str]]:
    if kind == "sqlite":
        yield lambda number: f"sqlite:///{directory / f'billing-{number}.db'}"
        return
    with PostgresServer() as server:
        yield lambda _number: server.create_database()


@contextmanager
def _service(url: str, directory: Path) -> Iterator[tuple[Context, BatchProcessor]]:
    store = open_store(url)
    try:
        with context_of(Case(service=SERVICE, digest=state_digest), store, directory, now=BEGIN) as context:
            handler = build(context).handler
            assert handler is not None
            yield context, BatchProcessor(store, handler, breaker=Breaker(), wall_ms=lambda: 1)
    finally:
        store.close()


def _rate(processor: BatchProcessor, records: Sequence[Record]) -> float:
    began = time.perf_counter()
    _feed(processor, records)
    return len(records) / (time.perf_counter() - began)


def _feed(processor: BatchProcessor, records: Sequence[Record]) -> None:
    lane = Lane(group=SERVICE, cluster_id="bench", topic=records[0].topic, topic_id="1", partition=0)
    for begin in range(0, len(records), BATCH):
        processor.process(lane, records[begin : begin + BATCH], expected=begin or None)


def _questions(context: Context) -> list[float]:
    """Milliseconds of each question, a transaction of its own."""
    found = []
    for number in range(QUESTIONS):
        began = time.perf_counter()
        _ask(context.store, context, f"tenant-{number % TENANTS}")
        found.append((time.perf_counter() - began) * 1_000)
    return found


def _ask(store: Store, context: Context, tenant: str) -> None:
    assert context.outbox is not None
    with store.read() as tx:
        books = Books(read_meters(tx), DEFAULT, context.outbox)
        standing = queries.standing(tx, books, tenant=tenant, period="2026-11")
    assert standing, tenant


def _created(number: int) -> Record:
    name = f"tenant-{number}"
    return _record(
        number, TenantCreated(name=name, tier="enterprise", region="eu", actor_id="bench"), name, "tenant"
    )


def _query(number: int) -> Record:
    event = QueryCompleted(
        query_id=f"q-{number}",
        user_id=f"u-{number % 50}",
        engine="duckdb",
        sql_fingerprint=FINGERPRINT,
        duration_us=1_000,
        rows_returned=1,
        cpu_us=number,
        bytes_scanned=number * 7,
    )
    return _record(number, event, f"tenant-{number % TENANTS}", "query")


def _tokens(number: int) -> Record:
    event = AgentTokensUsed(
        run_id=f"r-{number}",
        agent_id="analyst",
        provider="in_house",
        model=f"model-{number % 3}",
        input_tokens=number,
        output_tokens=10,
    )
    return _record(number, event, f"tenant-{number % TENANTS}", "tokens")


def _record(number: int, event: Event, tenant: str, kind: str) -> Record:
    moment = BEGIN + timedelta(milliseconds=number)
    envelope = new_envelope(
        event, tenant=TenantId(tenant), source="/bench", time=moment, id=f"{kind}-{number}"
    )
    encoded = encode_checked(envelope)
    topic = declaration_of(event).topic
    timestamp_ms = int(moment.timestamp() * 1_000)
    return Record(topic, 0, number, timestamp_ms, encoded.key, encoded.value, tuple(encoded.headers))
