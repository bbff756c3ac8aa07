"""A real trace is billed to the last token: imported twice, shuffled, in parts, and under kill -9.

The sums are compared with those that DuckDB finds in the files themselves.
"""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.store import Store, open_store
from trunkline.codec import Envelope
from trunkline.services.billing import queries
from trunkline.sources.llm_trace import Origin, find_files, read_events
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, CommandProcess

TRACE = Path(__file__).parents[3] / ".." / "shared" / "data" / "llm-inference"
INPUT, OUTPUT = 22_361_870, 4_088_665
TENANT, PERIOD = "llm-trace", "2023-11"
KILLS = 20
DEADLINE_S = 120.0

pytestmark = [
    pytest.mark.skipif(not TRACE.is_dir(), reason="the real LLM inference trace is not at ../shared/data"),
    pytest.mark.timeout(600),
]


def sums_of_the_files() -> tuple[int, int]:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(":memory:") as connection:
        query = "SELECT sum(ContextTokens), sum(GeneratedTokens) FROM read_csv(?, header = true)"
        row = connection.execute(query, [str(TRACE / "*.csv")]).fetchone()
    return int(row[0]), int(row[1])


def billed(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return {
            one.meter: int(one.value)
            for one in queries.totals(tx)
            if (one.tenant, one.period, one.group) == (TENANT, PERIOD, "")
        }


def test_the_files_have_the_tokens_that_are_expected() -> None:
    assert sums_of_the_files() == (INPUT, OUTPUT)


def test_twice_and_shuffled_is_billed_once(desk: Any) -> None:
    events = list(read_events(find_files([TRACE]), origin=Origin()))
    assert all(isinstance(event, Envelope) for event in events)
    again = random.Random(3).sample(events, len(events))
    desk.feed(*again, arrived=desk.now)
    desk.keeper.look()
    desk.feed(*events[:5_000], arrived=desk.now)
    assert billed(desk.store) == {
        "LLM_INPUT_TOKENS": INPUT,
        "LLM_OUTPUT_TOKENS": OUTPUT,
        "LLM_TOKENS": INPUT + OUTPUT,
    }


def parts(directory: Path, chance: random.Random) -> Sequence[Path]:
    """The trace in shuffled parts, one for each kill, and then some."""
    heading, *rows = (line for file in find_files([TRACE]) for line in file.read_text().splitlines())
    chance.shuffle(rows)
    found = []
    for number in range(KILLS + 2):
        part = directory / f"part-{number}.csv"
        part.write_text("\n".join((heading, *rows[number :: KILLS + 2])) + "\n")
        found.append(part)
    return found


@pytest.mark.slow
def test_20_kills_of_the_service_change_nothing(
    tmp_path: Path, broker_factory: Callable[[], BrokerProcess]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    broker = broker_factory()
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(), "development")
    to_here = ["--bootstrap-servers", broker.address, "--json"]
    # Static membership: the group takes the service back at once, without waiting for the one that is gone.
    member = ["--instance-id", "billing-1"]
    command = ["service", "billing-service", "--data-dir", str(tmp_path), *to_here, *member]
    with CommandProcess(command, ready=lambda line: line.startswith("{")) as service:
        for number, part in enumerate(parts(tmp_path, chance)):
            with CommandProcess(["import", "llm-trace", str(part), *to_here]) as importing:
                if number < KILLS:
                    # This is the moment of the fault, not a wait for anything.
                    time.sleep(chance.uniform(0.1, 1.0))
                    service.restart()
                assert importing.wait() == 0
        with CommandProcess(["import", "llm-trace", str(TRACE), *to_here]) as importing:
            assert importing.wait() == 0
        store = open_store(f"sqlite:///{tmp_path / 'services' / 'billing-service.db'}")
        try:
            eventually(lambda: billed(store).get("LLM_INPUT_TOKENS", 0) >= INPUT, seconds=DEADLINE_S)
            assert service.terminate() == 0
            found = billed(store)
        finally:
            store.close()
    assert (found["LLM_INPUT_TOKENS"], found["LLM_OUTPUT_TOKENS"]) == sums_of_the_files() == (INPUT, OUTPUT)
