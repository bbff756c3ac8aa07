"""No cluster, or one without the topics: every command says so within seconds, and names what to change."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from trunkline.testing.processes import BrokerProcess

Trunkline = Callable[..., Any]

NOWHERE: Final = "127.0.0.1:1"
SECONDS_MAX: Final = 30.0
"""Each takes some 5 s; they run together here."""

TOPIC: Final = "query.execution.events"
CLOUDEVENT: Final = (
    b'{"specversion":"1.0","id":"1","source":"/query-engine","type":"query.completed.v1",'
    b'"time":"2026-01-01T00:00:00Z","tenantid":"acme","datacontenttype":"application/json","data":%s}'
)

COMMANDS: Final = {
    "service": ["service", "audit-service", "--data-dir", "DIR/data", "--start-seconds", "3"],
    "publish": [
        *("publish", "--service", "query-engine", "--tenant", "acme", "query.completed.v1", "@DIR/query.json")
    ],
    "tail": ["tail", TOPIC],
    "topics": ["topics"],
    "topics create": ["topics", "create"],
    "topics grow": ["topics", "grow", TOPIC, "--partitions", "6"],
    "tenants": ["tenants", TOPIC],
    "lag": ["lag"],
    "config list": ["config", "list"],
    "config instances": ["config", "instances"],
    "import": ["import", "cloudevents", "DIR/events.jsonl"],
}
"""A command line for each command that connects."""


@pytest.fixture
def inputs(tmp_path: Path, query_json: str) -> Path:
    (tmp_path / "query.json").write_text(query_json)
    (tmp_path / "events.jsonl").write_bytes(CLOUDEVENT % query_json.encode() + b"\n")
    return tmp_path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that has no topic."""
    with BrokerProcess(tmp_path_factory.mktemp("empty")) as process:
        yield process.address


def in_directory(directory: Path, name: str) -> list[str]:
    return [part.replace("DIR", str(directory)) for part in COMMANDS[name]]


def test_every_command_names_the_bootstrap_servers_that_do_not_answer(inputs: Path) -> None:
    environment = {**os.environ, "TRUNKLINE_BOOTSTRAP_SERVERS": NOWHERE}
    began = time.monotonic()
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", "trunkline", *in_directory(inputs, name)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in COMMANDS
    }
    for name, process in processes.items():
        left = SECONDS_MAX - (time.monotonic() - began)
        out, err = process.communicate(timeout=max(left, 0.1))
        last = err.splitlines()[-1]
        assert (name, process.returncode, out) == (name, 4, "")
        assert last.startswith(f"error: no Kafka broker answers at {NOWHERE}"), (name, last)
        assert "Connection refused" in last, (name, last)
        assert "TRUNKLINE_BOOTSTRAP_SERVERS" in last, (name, last)
        assert "Traceback" not in err, name


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("publish", f"no topic {TOPIC}"),
        ("import", f"no topic {TOPIC}"),
        ("tail", f"no topic {TOPIC}"),
        ("tenants", f"no topic {TOPIC}"),
        ("topics grow", f"no topic {TOPIC}"),
        ("config list", "no topic config.change.events"),
        ("config instances", "no topic trunkline.broadcast.positions"),
    ],
)
def test_a_topic_that_is_not_there_is_named_with_the_command_that_creates_it(
    trunkline: Trunkline, inputs: Path, empty: str, *, command: str, named: str
) -> None:
    done = trunkline(*in_directory(inputs, command), "--bootstrap-servers", empty)
    assert done.code == 2
    (said,) = done.err.splitlines()
    assert named in said
    assert "trunkline topics create" in said


def test_lag_and_topics_say_what_is_missing_without_failing(trunkline: Trunkline, empty: str) -> None:
    assert trunkline("lag", "-b", empty) == (0, "", "no group has consumed anything yet\n")
    assert "missing" in trunkline("topics", "-b", empty).out


@pytest.mark.slow
def test_a_service_whose_topics_are_missing_ends_and_names_them(tmp_path: Path, empty: str) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "trunkline", "service", "audit-service", "-b", empty),
            "--data-dir",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert ended.returncode == 2
    (said,) = ended.stderr.splitlines()
    assert TOPIC in said
    assert "trunkline topics create" in said
