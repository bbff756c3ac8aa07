"""How many events a second the catalog takes, and how long a question about lineage takes."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Final

from sqlalchemy import insert

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.model import TOPIC, ModelAliasSet, ModelRegistered, ModelStageChanged
from trunkline.catalogue.events.model import ModelVersionCreated as VersionCreated
from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.store import Store, migrate, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Record, encode
from trunkline.services.catalog.handler import CatalogHandler
from trunkline.services.catalog.lineage import lineage
from trunkline.services.catalog.moments import NEVER
from trunkline.services.catalog.tables import ASSET, CATALOG, EDGE
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.catalog_desk import TENANT, said

PART: Final = "catalog"
EVENTS: Final = 10_000
BATCH: Final = 100
TENANTS: Final = 50
TABLES: Final = 200

ASSETS: Final = 100_000
PARENTS: Final = 2
"""Assets that each one depends on, drawn from those before it."""
DEPTH: Final = 5
QUESTIONS: Final = 400
NEAR: Final = 2_000
"""An asset depends on some of so many before it, so that paths are long."""

EVENTS_TARGET: Final = 5_000.0
LINEAGE_TARGET_MS: Final = 50.0

NOTES: Final = (
    f"catalog: {EVENTS} events of new models in {TENANTS} tenants, in batches of {BATCH}, through dedupe, "
    "effect, history, search index and durable commit",
    f"catalog: lineage {DEPTH} steps down in a graph of {ASSETS} assets with {PARENTS} edges each, "
    f"{QUESTIONS} assets at random",
)


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Both, on SQLite."""
    directory.mkdir(parents=True, exist_ok=True)
    say("catalog: events")
    records = list(_records())
    samples = [_applied(directory / f"events-{number}.db", records) for number in range(rounds)]
    figures = [figure(PART, "events", samples=samples, unit="events/s", better="more", target=EVENTS_TARGET)]
    say("catalog: lineage")
    with closing(_opened(directory / "lineage.db")) as store:
        _fill(store)
        p99 = [_asked_ms(store, seed) for seed in range(rounds)]
    name = f"lineage, depth {DEPTH}, {ASSETS} assets, p99"
    return [*figures, figure(PART, name, samples=p99, unit="ms", better="less", target=LINEAGE_TARGET_MS)]


def _opened(path: Path) -> Store:
    store = open_store(f"sqlite:///{path}")
    migrate(store)
    migrate(store, CATALOG)
    return store


def _applied(path: Path, records: Sequence[Record]) -> float:
    lane = Lane(group="catalog-service", cluster_id="bench", topic=TOPIC, topic_id="1", partition=0)
    with closing(_opened(path)) as store:
        processor = BatchProcessor(store, CatalogHandler(), breaker=Breaker(0), wall_ms=lambda: 1)
        expected: int | None = None
        began = time.perf_counter()
        for begin in range(0, len(records), BATCH):
            batch = records[begin : begin + BATCH]
            processor.process(lane, batch, expected=expected)
            expected = batch[-1].offset + 1
        return len(records) / (time.perf_counter() - began)


def _records() -> Iterator[Record]:
    for offset, (tenant, event) in enumerate(islice(_events(), EVENTS)):
        encoded = encode(said(event, offset / 60, id=f"e-{offset}", tenant=tenant))
        yield Record(TOPIC, 0, offset, 1, encoded.key, encoded.value, tuple(encoded.headers))


def _events() -> Iterator[tuple[str, Event]]:
    """Models with two versions each, one of which is staged and gets an alias."""
    rng = random.Random(1)  # noqa: S311 - repeatable input
    number = 0
    while True:
        number += 1
        tenant, model = f"tenant-{rng.randrange(TENANTS)}", f"model-{number}"
        yield (
            tenant,
            ModelRegistered(model=model, actor_id="u-1", owner_id="u-1", description="A model"),
        )
        for version in (1, 2):
            tables = tuple(f"urn:table:sales.t{rng.randrange(TABLES)}" for _ in range(2))
            metrics = {"auc": rng.random()}
            yield (
                tenant,
                VersionCreated(
                    model=model,
                    version=version,
                    actor_id="u-1",
                    source_uri="s3://m",
                    metrics=metrics,
                    trained_on=tables,
                ),
            )
        yield (
            tenant,
            ModelStageChanged(
                model=model, version=2, previous_stage="none", stage="development", actor_id="u-1"
            ),
        )
        yield tenant, ModelAliasSet(model=model, alias="champion", version=2, actor_id="u-1")


def _fill(store: Store) -> None:
    """The graph, written as rows: events would make the same ones."""
    rng = random.Random(2)  # noqa: S311 - repeatable input
    times = {"first_us": 0, "newest_us": 0, "defined_us": NEVER, "deleted_us": NEVER}
    assets = [{"tenant": TENANT, "urn": _urn(number), "kind": "table", **times} for number in range(ASSETS)]
    edges = {
        (_urn(max(0, number - rng.randint(1, NEAR))), _urn(number))
        for number in range(1, ASSETS)
        for _ in range(PARENTS)
    }
    rows = [
        {"tenant": TENANT, "origin": origin, "target": target, "kind": "trained_on", "since_us": 0}
        for origin, target in edges
    ]
    with store.write() as tx:
        tx.execute(insert(ASSET), assets)
        tx.execute(insert(EDGE), rows)


def _asked_ms(store: Store, seed: int) -> float:
    """The 99th percentile over assets at random."""
    rng = random.Random(seed)  # noqa: S311 - repeatable input
    took: list[float] = []
    for _ in range(QUESTIONS):
        root = _urn(rng.randrange(ASSETS))
        began = time.perf_counter()
        with store.read() as tx:
            lineage(tx, TENANT, root, direction="down", depth=DEPTH)
        took.append((time.perf_counter() - began) * 1000)
    return quantiles(took, n=100)[98]


def _urn(number: int) -> str:
    return f"urn:table:sales.t{number:06}"
