"""kill -9 of the service, and an instance that goes wrong: who is wrong is seen, and the others converge."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.acknowledgement import ACKNOWLEDGE_SECONDS
from trunkline.client.broadcast.entries import Name, digest_text
from trunkline.client.broadcast.instance import Broadcast
from trunkline.client.broadcast.overview import Standing
from trunkline.client.broadcast.reading import read_overview, read_state
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import rows
from trunkline.client.reader import TopicReader
from trunkline.client.store import Store, open_store
from trunkline.codec import decode
from trunkline.services.config import book, queries
from trunkline.services.config.changes import Draft, Rules
from trunkline.services.config.desk import ConfigDesk
from trunkline.services.config.plans import Status
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, CommandProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
KILLS = 6
CHANGES = 12
CONVERGED_S = 60.0
TOPIC = "config.change.events"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ConnectionOptions]:
    with BrokerProcess(tmp_path / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, load_catalogue(None), "development")
        yield connection


def start(cluster: ConnectionOptions, directory: Path) -> CommandProcess:
    where = ("--data-dir", str(directory), "-b", cluster.bootstrap_servers, "--json")
    return CommandProcess(("service", "config-service", *where), ready=lambda line: line.startswith("{"))


def change_some(desk: ConfigDesk, rng: random.Random, round_: int) -> None:
    """Changes of a few names, and plans that come due while the service is killed and started."""
    for number in range(CHANGES):
        tenant = rng.choice(["acme", "globex"])
        name = Name("value", "tenant", tenant, f"a.k{rng.randrange(4)}")
        due = None
        if number % 4 == 0:
            name = Name("value", "global", None, f"planned.k{round_}_{number}")
            due = datetime.now(UTC) + timedelta(seconds=rng.uniform(0.05, 1.5))
        desk.submit(Draft(name=name, value=[round_, number], actor="ana"), due=due)


def settled(store: Store) -> bool:
    """Whether nothing waits any more, and all of it has come back from the topic."""
    with store.read() as tx:
        unseen = any(change.place is None for _, change in queries.history(tx, queries.Wanted(), limit=1_000))
        return not (rows.status(tx).pending or queries.counts(tx)[1] or unseen)


def test_kill_9_between_commit_and_publish_loses_and_doubles_nothing(
    cluster: ConnectionOptions, tmp_path: Path, rules: Rules
) -> None:
    rng = random.Random(5)
    catalogue = load_catalogue(None)
    with (
        start(cluster, tmp_path) as service,
        closing(open_store(f"sqlite:///{tmp_path / 'services' / 'config-service.db'}")) as store,
        Broadcast(
            service="audit-service", instance="witness", connection=cluster, catalogue=catalogue
        ) as witness,
    ):
        desk = ConfigDesk(store, rules)
        for round_ in range(KILLS):
            change_some(desk, rng, round_)
            time.sleep(rng.uniform(0, 0.6))
            service.kill()
            service.restart()
        eventually(lambda: settled(store), seconds=CONVERGED_S)
        with store.read() as tx:
            plans = queries.plans(tx, settled=True, limit=1_000)
            entries = book.everything(tx)
        eventually(lambda: witness.digest == read_state(cluster).state.digest)
    assert plans
    assert {(plan.status, plan.version) for plan in plans} == {(Status.APPLIED, 1)}
    state = read_state(cluster).state
    assert state.entries == entries
    assert state.digest == witness.digest == digest_text(sum(entry.digest for entry in entries.values()))
    versions: dict[tuple[Any, ...], set[str]] = {}
    with TopicReader(cluster, TOPIC) as reader:
        for record in reader.existing():
            event: Any = decode(record).data
            if hasattr(event, "key"):
                versions.setdefault((event.scope, event.key, event.version), set()).add(decode(record).id)
    assert all(len(ids) == 1 for ids in versions.values()), "a version was given twice"


def test_a_diverged_instance_is_seen_within_two_heartbeats(
    cluster: ConnectionOptions, tmp_path: Path, rules: Rules
) -> None:
    catalogue = load_catalogue(None)

    def instance(number: int) -> Broadcast:
        return Broadcast(
            service="audit-service", instance=f"host-{number}", connection=cluster, catalogue=catalogue
        )

    with (
        start(cluster, tmp_path),
        closing(open_store(f"sqlite:///{tmp_path / 'services' / 'config-service.db'}")) as store,
        instance(1) as good,
        instance(2) as bad,
    ):
        ConfigDesk(store, rules).submit(
            Draft(name=Name("value", "global", None, "a.b"), value=1, actor="ana")
        )
        eventually(lambda: good.resolve("a.b").value == bad.resolve("a.b").value == 1)
        eventually(standings(cluster, {"host-1": Standing.CURRENT, "host-2": Standing.CURRENT}))
        forget(bad)
        began = time.monotonic()
        eventually(standings(cluster, {"host-1": Standing.CURRENT, "host-2": Standing.DIVERGED}))
        assert time.monotonic() - began <= 2 * ACKNOWLEDGE_SECONDS


def standings(cluster: ConnectionOptions, wanted: dict[str, Standing]) -> Callable[[], bool]:
    def so() -> bool:
        found = {view.instance: view.standing for view in read_overview(cluster, now=datetime.now(UTC))}
        return wanted.items() <= found.items()

    return so


def forget(instance: Broadcast) -> None:
    """What memory damage or a bug would do: the state loses an entry, the positions stay."""
    state: Any = instance._replica.state
    name, entry = state._entries.popitem()
    state._total -= entry.digest
    assert name.key == "a.b"
