"""What the platform must show, by the commands that a person types, on real processes of everything."""

import json
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import CommandProcess

DATA: Final = Path(__file__).parents[2] / ".." / "shared" / "data"
TRACE: Final = DATA / "llm-inference"
RUN_OF_DBT: Final = DATA / "openlineage" / "jaffle_shop_dbt_run.jsonl"
READY_SECONDS: Final = 60
WAIT_SECONDS: Final = 60
"""A failed check waits 10 s for others of its table before people are told."""

COMMAND_SECONDS: Final = 60
DENIED: Final = 3
DENIAL: Final = (
    r"error: denied: urn:table:main\.orders by policy quarantine:table:main\.orders in revision \d+: "
)
INPUT_TOKENS, OUTPUT_TOKENS = "22361870", "4088665"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Person:
    """Somebody at the command line of a machine on which everything runs."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.api_ports: dict[str, int] = ready["api_ports"]
        self._environment = {
            "TRUNKLINE_BOOTSTRAP_SERVERS": ready["bootstrap_servers"],
            "TRUNKLINE_DATA_DIR": ready["data_dir"],
        }

    def types(self, *words: str) -> Ran:
        """Run one command as a process of its own."""
        process = CommandProcess(words, environment=self._environment)
        code = process.wait(timeout_s=COMMAND_SECONDS)
        return Ran(code, process.stdout.text, process.stderr.text)

    def reads(self, *words: str) -> Any:
        """The JSON that a command prints, which must succeed."""
        ran = self.types(*words, "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    def waits_until(self, holds: Callable[[], bool]) -> None:
        """Look again and again."""
        eventually(holds, seconds=WAIT_SECONDS)

    def waits_until_all_is_read(self) -> None:
        """Until no service is behind; what is read may be published again, so it has to be so twice."""
        for _ in range(2):
            self.waits_until(lambda: not any(one["lag"] for one in self.reads("lag")))


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """On one machine; each test has a tenant of its own."""
    data_dir = tmp_path_factory.mktemp("shows") / "data"
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("TRUNKLINE_")}
    with CommandProcess(
        ["up", "--data-dir", str(data_dir), "--port", "0", "--api-port", "0", "--json"],
        ready=lambda line: line.startswith('{"bootstrap_servers"'),
        ready_deadline_s=READY_SECONDS,
    ) as up:
        yield Person(json.loads(up.ready_line))
        os.kill(up.pid, signal.SIGINT)
        assert up.wait(timeout_s=COMMAND_SECONDS) == 0
    os.environ.update(before)


@pytest.mark.skipif(not RUN_OF_DBT.is_file(), reason="the real dbt run is not at ../shared/data/openlineage")
def test_a_failing_check_of_a_real_dbt_run_is_told_and_keeps_readers_away(
    person: Person, tmp_path: Path
) -> None:
    tenant = ("--tenant", "jaffle")
    file = tmp_path / "run.jsonl"
    failed = with_a_failed_check(RUN_OF_DBT, file, table="jaffle_shop.main.orders", column="amount")
    imported = person.reads("import", "openlineage", str(file), *tenant)
    assert (imported["failed"], imported["bad"]) == (0, 0)
    assert imported["acknowledged"] == imported["published"] > 0
    person.waits_until(lambda: quarantine(person, "main.orders") == "enforce")
    person.waits_until(lambda: bool(told(person, "jaffle", "quality-check-failed")))

    assert in_topic(person, "pipeline.job.events")["pipeline.run_completed.v1"] > 1
    assert in_topic(person, "data.quality.events")["quality.check_failed.v1"] == 1
    (decision,) = person.reads("policy", "decisions", *tenant)
    why = person.types("notifications", "explain", decision["cause_id"], *tenant)
    assert "rule quality-check-failed: notified: it opened a notification" in why.out
    assert "inbox to *: was delivered" in why.out
    assert quarantine(person, "main.customers") is None

    # The tenant's database has no such table: whoever may not read it is not even told that.
    query = ("query", "run", *tenant, "--user", "ada", "SELECT * FROM main.orders")
    api = f"http://127.0.0.1:{person.api_ports['query-engine']}"
    for asked in (query, (*query, "--url", api)):
        denied = person.types(*asked)
        assert (denied.code, denied.out) == (DENIED, "")
        assert re.match(DENIAL, denied.err), denied.err
        assert len(denied.err.splitlines()) == 1
    assert failed in person.types("policy", "asset", "main.orders", *tenant).out

    person.waits_until_all_is_read()
    before = standing(person, "jaffle")
    again = person.reads("import", "openlineage", str(file), *tenant)
    assert again["acknowledged"] == imported["acknowledged"]
    person.waits_until_all_is_read()
    assert standing(person, "jaffle") == before


@pytest.mark.skipif(not TRACE.is_dir(), reason="the real trace is not at ../shared/data/llm-inference")
def test_a_real_trace_is_billed_to_the_token_also_when_it_comes_twice(person: Person, tmp_path: Path) -> None:
    shuffled = tmp_path / "again.csv"
    (trace,) = TRACE.glob("*.csv")
    heading, *rows = trace.read_text().splitlines()
    shuffled.write_text("\n".join([heading, *random.Random(4).sample(rows, len(rows))]))
    for path in (TRACE, shuffled):
        imported = person.reads("import", "llm-trace", str(path))
        assert imported["acknowledged"] == imported["read"] == len(rows)
        person.waits_until(lambda: billed(person) == (INPUT_TOKENS, OUTPUT_TOKENS))
        person.waits_until_all_is_read()
        assert billed(person) == (INPUT_TOKENS, OUTPUT_TOKENS)


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_a_real_registry_is_known_by_its_alias(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    from trunkline.cli._mlflow import ENVIRONMENT

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    registry = MlflowClient(tracking_uri=uri, registry_uri=uri)
    registry.create_registered_model("churn")
    for number in ("1", "2"):
        registry.create_model_version("churn", f"s3://models/churn/{number}")
        registry.set_registered_model_alias("churn", "champion", number)
    tenant = ("--tenant", "models")
    assert person.reads("import", "mlflow", uri, *tenant)["acknowledged"] == 4
    champion = ("assets", "models", "churn@champion", *tenant)
    person.waits_until(lambda: person.types(*champion).code == 0)
    person.waits_until(lambda: person.reads(*champion)["version"] == 2)
    assert "s3://models/churn/2" in person.types("assets", "show", "urn:model_version:churn/2", *tenant).out


def test_the_end_of_a_tenant_is_answered_by_all_services_and_audit_knows_it(person: Person) -> None:
    services = set(load_catalogue().services)
    assert len(services) == 13
    assert person.types("tenant", "create", "gone", "--tier", "free", "--region", "eu").code == 0
    assert person.types("tenant", "activate", "gone").code == 0
    assert (
        person.types("agent", "start", "r-1", "--tenant", "gone", "--agent", "a", "--user", "ada").code == 0
    )
    person.waits_until_all_is_read()
    assert person.types("tenant", "schedule-deletion", "gone").code == 0
    assert person.types("tenant", "delete", "gone", "--now").out == "tenant gone is deleted, version 4"

    def ends() -> list[Any]:
        found: list[Any] = person.reads("tenant", "receipts", "gone")
        return found

    person.waits_until(lambda: bool(ends()) and not ends()[0]["missing"])
    (end,) = ends()
    assert {receipt["service"] for receipt in end["receipts"]} == services
    erased = {receipt["service"]: receipt["records_erased"] for receipt in end["receipts"]}
    assert erased["ai-service"] == 1

    def answers() -> dict[str, str]:
        of = ("--tenant", "system", "--type", "access.erasure_completed.v1", "--resource", "gone")
        entries = person.reads("audit", "search", *of)["entries"]
        return {entry["actor_id"]: entry["correlation_id"] for entry in entries}

    person.waits_until(lambda: answers().keys() == services)
    assert set(answers().values()) == {end["deletion_id"]}
    assert "no run" in person.types("agent", "show", "r-1", "--tenant", "gone").err
    refused = person.types("agent", "start", "r-2", "--tenant", "gone", "--agent", "a", "--user", "ada")
    assert (refused.code, "was deleted" in refused.err) == (1, True)


def with_a_failed_check(source: Path, target: Path, *, table: str, column: str) -> str:
    """A copy of a run that has just ended, with one assertion that did not hold; returns its name in dbt."""
    events = [json.loads(line) for line in source.read_text().splitlines()]
    late = datetime.now(UTC) - max(datetime.fromisoformat(event["eventTime"]) for event in events)
    found = []
    for event in events:
        event["eventTime"] = (datetime.fromisoformat(event["eventTime"]) + late).isoformat()
        for dataset in event["inputs"]:
            checks = dataset.get("inputFacets", {}).get("dataQualityAssertions", {}).get("assertions", [])
            found += [one for one in checks if (dataset["name"], one["column"]) == (table, column)]
    for one in found:
        one |= {"success": False, "actual": "7"}
    target.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return str(found[0]["assertion"])


def quarantine(person: Person, table: str) -> str | None:
    """The mode in which a table is quarantined."""
    mode: str | None = person.reads("policy", "asset", table, "--tenant", "jaffle")["mode"]
    return mode


def in_topic(person: Person, topic: str) -> Counter[str]:
    """How many events of which type somebody who follows a topic sees of the dbt run."""
    ran = person.types("tail", topic, "--tenant", "jaffle", "--from-beginning", "--json")
    return Counter(json.loads(line)["type"] for line in ran.out.splitlines())


def told(person: Person, tenant: str, rule: str) -> list[str]:
    """The notifications of a rule that were delivered."""
    history = person.reads("notifications", "history", "--tenant", tenant, "--rule", rule)
    return [one["id"] for one in history if any(sent["state"] == "sent" for sent in one["deliveries"])]


def standing(person: Person, tenant: str) -> dict[str, Any]:
    """What services have come to, as people see it."""
    of = ("--tenant", tenant)
    return {
        "audited": len(person.reads("audit", "search", *of, "--limit", "1000")["entries"]),
        "told": person.reads("notifications", "history", *of),
        "incidents": person.reads("notifications", "incidents", *of),
        "revisions": person.reads("policy", "history", *of),
        "decisions": person.reads("policy", "decisions", *of),
    }


def billed(person: Person) -> tuple[str, str]:
    """Tokens in and out of November 2023."""
    shown = person.reads("usage", "show", "--tenant", "llm-trace", "--period", "2023-11")
    used = {one["meter"]: one["used"] for one in shown["meters"]}
    return str(used.get("LLM_INPUT_TOKENS")), str(used.get("LLM_OUTPUT_TOKENS"))
