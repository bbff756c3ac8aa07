"""A publisher that is killed between commit and publication loses nothing and tells nothing twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.cli.main import run
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.reader import TopicReader
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, CommandProcess

ROUNDS: Final = 6

LIVES: Final = {
    "tenant-service": (
        "tenant.lifecycle.events",
        "tenant create {} --tier starter --region eu",
        "tenant activate {}",
        "tenant suspend {} --reason abuse",
        "tenant reactivate {}",
    ),
    "ai-service": (
        "ai.agent.events",
        "agent start r --tenant {} --agent a --user u",
        "agent tool r t --tenant {}",
        "agent tokens r --tenant {} --provider p --model m --input 3 --output 1",
        "agent complete r --tenant {}",
    ),
    "iam-service": (
        "security.audit.events",
        "iam grant u p urn:a --tenant {}",
        "iam revoke u p urn:a --tenant {}",
        "iam assign u r --tenant {}",
        "iam request-erasure c --tenant {} --id r",
    ),
}
"""By service, its topic, and commands that each change something, in the only order that works."""


def told(connection: ConnectionOptions, topic: str) -> dict[str, list[str]]:
    """The types of each tenant's events, in order; a repetition of an id counts once."""
    seen: set[str] = set()
    found: dict[str, list[str]] = {}
    with TopicReader(connection, topic) as reader:
        for record in reader.existing():
            headers = {name: (value or b"").decode() for name, value in record.headers}
            if headers["ce_id"] not in seen:
                found.setdefault((record.key or b"").decode(), []).append(headers["ce_type"])
            seen.add(headers["ce_id"])
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", list(LIVES))
def test_kill_9_between_commit_and_publication(
    service: str, broker_factory: Callable[..., BrokerProcess], tmp_path: Path
) -> None:
    topic, *life = LIVES[service]
    broker = broker_factory()
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, load_catalogue(None), "development")
    data = ["--data-dir", str(tmp_path / "services-data")]
    command = ["service", service, "--bootstrap-servers", broker.address, "--json", *data]
    tenants = [f"t-{number}" for number in range(ROUNDS)]
    with CommandProcess(command, ready=lambda line: line.startswith("{")) as process:
        for number, tenant in enumerate(tenants):
            for line in life:
                assert run([*line.format(tenant).split(), *data]) == 0
                if number % 2:
                    process.restart()
            process.restart()
        eventually(lambda: sum(map(len, told(connection, topic).values())) == ROUNDS * len(life), seconds=60)
    lives = told(connection, topic)
    assert set(lives) == set(tenants)
    assert len({tuple(types) for types in lives.values()}) == 1, "each tenant's events are in order"
