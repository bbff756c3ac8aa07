"""How many events a second the audit ledger takes, tree included, and how many entries it verifies."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from trunkline.catalogue.load import load_catalogue
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.store import Store, migrate, open_store
from trunkline.client.store.position import Lane
from trunkline.services.audit.app import checkpoint_files
from trunkline.services.audit.checkpointer import Checkpointer
from trunkline.services.audit.handler import AuditHandler
from trunkline.services.audit.note import load_or_create_signer
from trunkline.services.audit.tables import AUDIT_LEDGER
from trunkline.services.audit.verify import verify_store
from trunkline.sources.workload import workload
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.suite.streams import QUERIES, TENANTS, Batch, Part, batches, clock, consumed

PART: Final = "audit"
EVENTS: Final = 20_000
BATCH: Final = 100
START: Final = datetime(2026, 11, 23, tzinfo=UTC)

EVENTS_TARGET: Final = 3_000.0
ROWS_TARGET: Final = 100_000.0

NOTES: Final = (
    f"audit: {EVENTS} events of a generated platform in batches of {BATCH}, through dedupe, leaf hash, tree, "
    "text index and durable commit; verified are all entries, trees and signed checkpoints",
)


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Events and entries a second, on SQLite."""
    directory.mkdir(parents=True, exist_ok=True)
    given = list(_batches())
    taken, verified = [], []
    for number in range(rounds):
        say(f"audit: round {number + 1}")
        place = directory / str(number)
        place.mkdir()
        with closing(open_store(f"sqlite:///{place / 'audit.db'}")) as store:
            migrate(store)
            migrate(store, AUDIT_LEDGER)
            taken.append(_taken(store, given))
            verified.append(_verified(store, place))
    return [
        figure(PART, "events", samples=taken, unit="events/s", better="more", target=EVENTS_TARGET),
        figure(PART, "verification", samples=verified, unit="entries/s", better="more", target=ROWS_TARGET),
    ]


def _taken(store: Store, given: Sequence[Batch]) -> float:
    processor = BatchProcessor(store, AuditHandler(), breaker=Breaker(0), wall_ms=lambda: 1)
    expected: dict[Part, int] = {}
    began = time.perf_counter()
    for batch in given:
        topic, partition = batch.part
        lane = Lane(group="audit-service", cluster_id="bench", topic=topic, topic_id="1", partition=partition)
        processor.process(lane, batch.records, expected=expected.get(batch.part))
        expected[batch.part] = batch.records[-1].offset + 1
    return EVENTS / (time.perf_counter() - began)


def _verified(store: Store, directory: Path) -> float:
    files = checkpoint_files(directory)
    signer = load_or_create_signer(directory / "key.pem")
    Checkpointer(store, files, signer).catch_up()
    began = time.perf_counter()
    report = verify_store(store, files, signer.verifier)
    assert report.ok
    return report.entries / (time.perf_counter() - began)


def _batches() -> Iterator[Batch]:
    """A platform's life as its topics hold it, in full batches but for the last of each partition."""
    stream = workload(1, TENANTS, clock=clock(START, timedelta(milliseconds=1)), queries=QUERIES)
    topics = [topic.name for topic in load_catalogue().shared_by("audit-service")]
    audited = (event for event in (produced.envelope for produced in stream) if consumed([event], topics))
    yield from batches(islice(audited, EVENTS), _Full(), size_max=BATCH)


class _Full(random.Random):
    """Draws the largest size, always."""

    def randint(self, a: int, b: int) -> int:  # noqa: ARG002 - the signature is the library's
        return b
